import type { Command } from 'commander'
import { readDaemonSettings } from '../config/config.ts'
import type { Cli } from '../context.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { createSteps, type Steps } from '../setup/steps.ts'
import { bringUp, prepareHost, startedDaemon } from '../setup/up.ts'

interface UpFlags {
  readonly prepare?: boolean
  readonly forTests?: boolean
  readonly daemonOnly?: boolean
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .option('--prepare', 'only install what is missing and build our own programs')
    .option('--for-tests', 'also install what the tests need')
    .option('--daemon-only', 'stop once the daemon answers')
    .action(action(cli, up))
}

async function up(session: Session, flags: UpFlags): Promise<void> {
  const steps = stepsFor(session)
  await prepareHost(steps, { forTests: flags.forTests === true })
  if (flags.prepare) {
    session.emit({ prepared: true }, '')
    return
  }
  const daemon = await startedDaemon(session.home, await readDaemonSettings(session), steps)
  if (flags.daemonOnly) {
    session.emit({ home: session.home, daemon }, '')
    return
  }
  const { box, output } = await bringUp(session.home, steps)
  session.emit({ home: session.home, daemon, box, output }, `${output}\n`)
  session.note(`
Next:
  ./gibil shell ${box}                     look around in it; it lives for an hour
  ./gibil create --name work --repo .      a box with the repository of this folder in it
  ./gibil run work -- npm test             run something there
  ./gibil --help                           everything else
`)
}

/** With --json nobody reads along. */
function stepsFor(session: Session): Steps {
  return createSteps(session.json ? { write: () => true } : session.stderr, session.colors)
}
