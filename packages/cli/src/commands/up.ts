import { type Command, Option } from 'commander'
import { readDaemonSettings } from '../config/config.ts'
import type { Cli } from '../context.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { createSteps, type Steps } from '../setup/steps.ts'
import { bringUp, prepareHost, type SetUpShape, setUpShapes, startedDaemon } from '../setup/up.ts'
import { lacksWorkstation, workstationCost } from '../workstation.ts'

interface UpFlags {
  readonly prepare?: boolean
  readonly forTests?: boolean
  readonly daemonOnly?: boolean
  readonly shape?: SetUpShape
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .option('--prepare', 'only install what is missing and build our own programs')
    .option('--for-tests', 'also install what the tests need')
    .option('--daemon-only', 'stop once the daemon answers')
    .addOption(new Option('--shape <shape>', 'the shape of the first box; brings what it needs').choices(setUpShapes))
    .action(action(cli, up))
}

async function up(session: Session, flags: UpFlags): Promise<void> {
  const steps = stepsFor(session)
  const { shape = 'container' } = flags
  await prepareHost(steps, { forTests: flags.forTests === true, shape })
  if (flags.prepare) {
    session.emit({ prepared: true }, '')
    return
  }
  const { pid, version } = await startedDaemon(session.home, await readDaemonSettings(session), steps, shape)
  if (flags.daemonOnly) {
    session.emit({ home: session.home, daemon: { pid, version } }, '')
    return
  }
  await tellOfWorkstation(session, shape)
  const { box, output } = await bringUp(session.home, steps, shape)
  session.emit({ home: session.home, daemon: { pid, version }, box, output }, `${output}\n`)
  session.note(`
Next:
  ./gibil shell ${box}                     look around in it; it lives for an hour
  ./gibil create --name work --repo .      a box with the repository of this folder in it
  ./gibil run work -- npm test             run something there
  ./gibil --help                           everything else
`)
}

async function tellOfWorkstation(session: Session, shape: SetUpShape): Promise<void> {
  if (shape === 'managed' && (await lacksWorkstation(session))) session.note(`  ${workstationCost}\n`)
}

/** With --json nobody reads along. */
function stepsFor(session: Session): Steps {
  return createSteps(session.json ? { write: () => true } : session.stderr, session.colors)
}
