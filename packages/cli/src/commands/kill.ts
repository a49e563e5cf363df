import type { SignalName } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { oneOf } from '../options/parse.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

const names = ['HUP', 'INT', 'QUIT', 'KILL', 'USR1', 'USR2', 'TERM', 'CONT', 'STOP', 'TSTP', 'WINCH'] as const

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .argument('<job...>', 'job ids')
    .option('-s, --signal <signal>', 'such as INT or KILL', 'TERM')
    .option('--no-group', 'only the process itself, not what it started')
    .action(action(cli, kill))
}

async function kill(
  session: Session,
  ref: string,
  ids: string[],
  flags: { signal: string; group: boolean },
): Promise<void> {
  const signal: SignalName = `SIG${oneOf(flags.signal.toUpperCase().replace(/^SIG/, ''), names, 'a signal')}`
  const { jobs } = session.gibil.box(ref)
  await Promise.all(ids.map((id) => jobs.kill(id, signal, { group: flags.group })))
  session.emit(
    ids.map((id) => ({ id, signal })),
    '',
  )
  session.note(`${session.colors.green('✓')} ${signal} sent to ${ids.join(', ')}\n`)
}
