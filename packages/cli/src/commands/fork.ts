import type { Box, Fork, ForkBoxes } from '@gibil/sdk'
import type { Command } from 'commander'
import { readDefaults } from '../config/config.ts'
import type { Cli } from '../context.ts'
import { addLeaseOptions, type LeaseFlags, leaseOptions } from '../options/lease.ts'
import { oneOf, wholeNumber } from '../options/parse.ts'
import { boxTable, stateOf, timeLeft } from '../output/box.ts'
import { createProgress } from '../output/progress.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

interface Flags extends LeaseFlags {
  readonly count?: string
  readonly name?: string
  readonly wait?: string
}

export function define(command: Command, cli: Cli): void {
  addLeaseOptions(withCommonOptions(command))
    .argument('<source>', 'name or id of a box or a snapshot')
    .option('--count <n>', 'make n boxes, called <name>-1 to <name>-n')
    .option('--name <name>', 'a DNS label; made up when absent')
    .option('--wait <state>', 'created, running or ready (default ready)')
    .addHelpText(
      'after',
      '\nSize, image, network and environment are those of the source. Its set-up is not run again.',
    )
    .action(action(cli, fork))
}

async function fork(session: Session, from: string, flags: Flags): Promise<number | undefined> {
  const defaults = await readDefaults(session)
  const wait =
    flags.wait === undefined ? undefined : oneOf(flags.wait, ['created', 'running', 'ready'], 'a state to wait for')
  const input: ForkBoxes = {
    from,
    name: flags.name,
    count: flags.count === undefined ? undefined : wholeNumber(flags.count, 'a number of boxes', 1),
    ...leaseOptions(flags, defaults),
    wait,
  }
  const progress = session.json ? undefined : createProgress(session, from)
  const forked = await session.gibil
    .fork(input, { onProgress: progress?.onProgress, signal: session.signal })
    .finally(() => progress?.end())
  const [only] = forked.boxes
  if (input.count === undefined && only) return showBox(session, only)
  return showAll(session, forked)
}

function showBox(session: Session, box: Box): undefined {
  const name = clean(box.name)
  session.emit(box, `${name}\n`)
  session.note(
    `${session.colors.green('✓')} ${name} is ${stateOf(box)}, time left: ${timeLeft(box, Date.now())}\n` +
      `  next: gibil run ${name} -- <command>   gibil shell ${name}   gibil destroy ${name}\n`,
  )
  return undefined
}

function showAll(session: Session, forked: Fork): number | undefined {
  session.emit(forked, () => boxTable(forked.boxes, session))
  for (const { name, failure } of forked.failures) {
    session.note(
      `${session.colors.red('error:')} ${clean(name)}: ${clean(failure.message)}\n  next: ${clean(failure.hint)}\n`,
    )
  }
  session.note(`  next: gibil run <name> -- <command>   gibil destroy ${clean(forked.fleet ?? '')}\n`)
  return forked.failures.length > 0 ? 1 : undefined
}
