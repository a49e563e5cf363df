import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .argument('<snapshot>', 'name or id of the snapshot, or the path where it is')
    .action(action(cli, unmount))
}

async function unmount(session: Session, ref: string, at: string): Promise<void> {
  const gone = await session.gibil.box(ref).unmount(at, { signal: session.signal })
  session.emit(gone, `${clean(gone.path)}\n`)
  session.note(`${session.colors.green('✓')} ${clean(gone.snapshot ?? gone.snapshotId)} is unmounted\n`)
}
