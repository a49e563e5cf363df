import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command).action(action(cli, sweep))
}

async function sweep(session: Session): Promise<void> {
  const result = await session.gibil.sweep({ signal: session.signal })
  session.emit(result, () => result.removed.map((id) => `${id}\n`).join(''))
  session.note(
    result.removed.length === 0
      ? 'Nothing to sweep.\n'
      : `${session.colors.green('✓')} removed what was left of ${result.removed.length} boxes\n`,
  )
}
