import { GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { collect, environment } from '../options/parse.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { statusOf } from '../streaming.ts'
import { connectTerminal, isTerminal, sizeOf } from '../terminal.ts'

interface Flags {
  readonly cwd?: string
  readonly env?: string[]
  readonly user?: string
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .option('--cwd <dir>', 'default: the repository, else the home directory')
    .option('--env <KEY=value>', 'environment; repeat it for more', collect)
    .option('--user <user>', 'such as root')
    .addHelpText('after', '\nCtrl-] leaves the shell running; `gibil attach` comes back to it.')
    .action(action(cli, shell))
}

async function shell(session: Session, ref: string, flags: Flags): Promise<number> {
  if (!isTerminal(session)) {
    throw new GibilError('invalid_request', 'A shell needs a terminal, and this is none.', {
      hint: `Run a command instead: gibil run ${ref} -- <command>`,
    })
  }
  const { cwd, user } = flags
  const command = await session.gibil
    .box(ref)
    .shell({ tty: sizeOf(session), cwd, user, env: environment(flags.env ?? [], session.env) })
  session.note(session.colors.dim(`Connected to ${ref}. Ctrl-] detaches and leaves the shell running.\n`))
  const end = await connectTerminal(command, session)
  if (end !== 'detached') return statusOf(end)
  session.note(`\nDetached. The shell goes on.\n  next: gibil attach ${ref} ${command.job.id}\n`)
  return 0
}
