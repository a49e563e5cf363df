import { GibilError, type Mount } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { clean, table } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .argument('[snapshot]', 'name or id of a snapshot of it; without one, what the box has mounted')
    .argument('[path]', 'where in the box, made or empty (default: /snapshots/<name>)')
    .addHelpText(
      'after',
      '\nThe snapshot can be read there, and not written, until it is unmounted or the box stops. A pause of a microvm unmounts it too.',
    )
    .action(action(cli, mount))
}

async function mount(
  session: Session,
  ref: string,
  snapshot: string | undefined,
  path: string | undefined,
): Promise<void> {
  const box = session.gibil.box(ref)
  if (snapshot === undefined) {
    const mounts = await box.mounts({ signal: session.signal })
    if (mounts.length === 0) session.note(`Nothing is mounted. Mount one: gibil mount ${clean(ref)} <snapshot>\n`)
    session.emit(mounts, () => (mounts.length === 0 ? '' : mountTable(mounts, session)))
    return
  }
  if (path === '') throw new GibilError('invalid_path', 'The path is empty.')
  const made = await box.mount(snapshot, { path, signal: session.signal })
  session.emit(made, `${clean(made.path)}\n`)
  session.note(`${session.colors.green('✓')} ${clean(made.snapshot ?? made.snapshotId)} is at ${clean(made.path)}\n`)
  session.note(
    `  next: gibil run ${clean(ref)} -- ls ${clean(made.path)}   gibil unmount ${clean(ref)} ${clean(made.path)}\n`,
  )
}

const mountTable = (mounts: readonly Mount[], { colors }: Session): string =>
  table(
    ['PATH', 'SNAPSHOT'],
    mounts.map(({ path, snapshot, snapshotId }) => [clean(path), clean(snapshot ?? `${snapshotId} (removed)`)]),
    colors.dim,
  )
