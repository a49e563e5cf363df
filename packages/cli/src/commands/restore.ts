import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { stateOf } from '../output/box.ts'
import { createProgress } from '../output/progress.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .argument('<snapshot>', 'name or id of a snapshot of it, or of a box made in the same way')
    .addHelpText(
      'after',
      '\nThe box keeps its name, id and lease, and runs afterwards. What it was before is lost: take a snapshot of it first to keep that.',
    )
    .action(action(cli, restore))
}

async function restore(session: Session, ref: string, snapshot: string): Promise<void> {
  const progress = session.json ? undefined : createProgress(session, ref)
  const call = { onProgress: progress?.onProgress, signal: session.signal }
  const handle = session.gibil.box(ref)
  try {
    const box = await handle.restore(snapshot, call)
    const failed = box.readiness === 'failed'
    const ready = failed ? box : await handle.wait('ready', call)
    progress?.end()
    session.emit(ready, `${clean(ready.name)}\n`)
    session.note(`${session.colors.green('✓')} ${clean(ready.name)} is ${stateOf(ready)}, as in ${clean(snapshot)}\n`)
  } finally {
    progress?.end()
  }
}
