import { errorTable, formatBytes, formatDuration, GibilError, refOf, type Snapshot } from '@gibil/sdk'
import { describeError } from './output/report-error.ts'
import { clean, table } from './output/text.ts'
import type { Session } from './session.ts'
import { inTreeOrder } from './snapshot-tree.ts'

interface RemoveFlags {
  readonly all?: boolean
  readonly yes?: boolean
}

/** The verbs below `gibil snapshots`. */
export const snapshotVerbs = { list, remove }

async function list(session: Session, box: string | undefined, { quiet }: { quiet?: boolean }): Promise<void> {
  const snapshots = await session.gibil.snapshots.list({ box, signal: session.signal })
  if (snapshots.length === 0) {
    session.note(
      `No snapshots${box === undefined ? '' : ` of ${clean(box)}`}. Take one: gibil snapshot ${clean(box ?? '<box>')}\n`,
    )
  }
  session.emit(snapshots, () => {
    if (quiet) return snapshots.map((snapshot) => `${refOf(snapshot)}\n`).join('')
    return snapshots.length === 0 ? '' : snapshotTable(snapshots, session)
  })
}

/** Each below the one that its box's state came from. */
function snapshotTable(snapshots: readonly Snapshot[], { colors }: Session): string {
  const names = new Map(snapshots.map((snapshot) => [snapshot.id, refOf(snapshot)]))
  const rows = inTreeOrder(snapshots).map(({ snapshot, depth }) => [
    `${'  '.repeat(depth)}${refOf(snapshot)}`,
    snapshot.boxName,
    snapshot.status === 'ready' ? `${snapshot.kind}${snapshot.setup ? ', set-up' : ''}` : snapshot.status,
    snapshot.bytes === null ? '-' : formatBytes(snapshot.bytes),
    snapshot.parent === null ? '-' : (names.get(snapshot.parent) ?? snapshot.parent),
    `${formatDuration(Date.now() - Date.parse(snapshot.createdAt))} ago`,
  ])
  return table(['NAME', 'BOX', 'KIND', 'SIZE', 'PARENT', 'MADE'], rows, colors.dim)
}

async function remove(session: Session, refs: string[], flags: RemoveFlags): Promise<number> {
  if (refs.length === 0 && !flags.all) {
    throw new GibilError('invalid_request', 'Remove what?', { hint: 'Name snapshots, or give --all.' })
  }
  const targets = flags.all ? await every(session, flags.yes === true) : [...new Set(refs)]
  const removed: string[] = []
  const failures: GibilError[] = []
  await Promise.all(
    targets.map(async (ref) => {
      try {
        const snapshot = await session.gibil.snapshots.remove(ref, { signal: session.signal })
        removed.push(refOf(snapshot))
        session.note(`${session.colors.green('✓')} ${clean(refOf(snapshot))} removed\n`)
      } catch (thrown) {
        const error = GibilError.from(thrown)
        if (refs.length === 1 && !flags.all) throw error
        failures.push(error)
        session.note(describeError(error, session))
      }
    }),
  )
  session.emit({ removed, failures: failures.map((error) => error.toBody().error) }, '')
  const [first] = failures
  return first ? errorTable[first.code].exit : 0
}

async function every(session: Session, yes: boolean): Promise<string[]> {
  const snapshots = await session.gibil.snapshots.list({ signal: session.signal })
  if (snapshots.length === 0) session.note('No snapshots.\n')
  else if (!yes) await confirm(session, snapshots)
  return snapshots.map(({ id }) => id)
}

async function confirm(session: Session, snapshots: readonly Snapshot[]): Promise<void> {
  const what = snapshots.length === 1 ? 'one snapshot' : `${snapshots.length} snapshots`
  const names = snapshots.map(refOf).join(', ')
  if (session.stdin.isTTY !== true || session.stderr.isTTY !== true || session.json) {
    throw new GibilError('invalid_request', `This would remove ${what}: ${names}.`, { hint: 'Add --yes to do it.' })
  }
  const prompts = await import('@clack/prompts')
  const message = `Remove ${what} (${names})?`
  const answer = await prompts.confirm({ message, initialValue: false, output: session.stderr })
  if (answer !== true) {
    throw new GibilError('cancelled', 'Nothing was removed.', { hint: 'Name the snapshots to remove.' })
  }
}
