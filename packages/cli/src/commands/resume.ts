import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { eachBox } from '../targets.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box...>', 'names or ids')
    .action(
      action(cli, (session: Session, refs: string[]) =>
        eachBox(session, refs, { done: 'resumed' }, (box) => box.resume({ signal: session.signal })),
      ),
    )
}
