import { formatBytes, GibilError, refOf, type SnapshotKind } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { createProgress } from '../output/progress.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

interface Flags {
  readonly memory?: boolean
  readonly diskOnly?: boolean
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .argument('[name]', 'name of the snapshot, a DNS label; made up when absent')
    .option('--memory', 'with its processes, so that they go on from here')
    .option('--disk-only', 'its disk alone')
    .addHelpText(
      'after',
      '\nThe memory is saved where the shape can and the box runs or is paused, else the disk alone. The snapshot outlives the box.',
    )
    .action(action(cli, snapshot))
}

async function snapshot(session: Session, box: string, name: string | undefined, flags: Flags): Promise<void> {
  const kind = kindOf(flags)
  const input = { ...(name === undefined ? {} : { name }), ...(kind === undefined ? {} : { kind }) }
  const progress = session.json ? undefined : createProgress(session, box)
  const call = { onProgress: progress?.onProgress, signal: session.signal }
  const made = await session.gibil.snapshots.create(box, input, call).finally(() => progress?.end())
  const ref = clean(refOf(made))
  session.emit(made, `${ref}\n`)
  session.note(
    `${session.colors.green('✓')} ${ref}, ${made.kind} of ${clean(made.boxName)}, ${formatBytes(made.bytes ?? 0)}\n`,
  )
  session.note(`  next: gibil restore ${clean(box)} ${ref}   gibil fork ${ref}   gibil snapshots rm ${ref}\n`)
}

function kindOf({ memory, diskOnly }: Flags): SnapshotKind | undefined {
  if (memory && diskOnly) {
    throw new GibilError('invalid_request', '--memory and --disk-only exclude each other.', { hint: 'Leave one out.' })
  }
  return memory ? 'disk+memory' : diskOnly ? 'disk' : undefined
}
