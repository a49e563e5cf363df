import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { portNumber } from '../options/parse.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .argument('<port>', 'a published port')
    .action(action(cli, unpublish))
}

async function unpublish(session: Session, ref: string, text: string): Promise<void> {
  const port = portNumber(text)
  await session.gibil.box(ref).unpublish(port, { signal: session.signal })
  session.emit({ port }, '')
  session.note(`${session.colors.green('✓')} port ${port} of ${ref} has no address any more\n`)
}
