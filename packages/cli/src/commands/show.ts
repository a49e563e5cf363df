import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { boxDetails } from '../output/box.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command).argument('<box>', 'name or id').action(action(cli, show))
}

async function show(session: Session, ref: string): Promise<void> {
  const box = await session.gibil.box(ref).refresh({ signal: session.signal })
  session.emit(box, () => boxDetails(box, session))
  const log = box.failure?.log
  if (log)
    session.note(
      `${log
        .trimEnd()
        .split('\n')
        .slice(-20)
        .map((line) => `  | ${line}`)
        .join('\n')}\n`,
    )
}
