import { GibilError } from '@gibil/contract'
import { isSnapshotId } from '../box/ids.ts'
import type { Owner } from '../box-record.ts'
import type { SnapshotRecord } from '../snapshot-record.ts'
import { createKeyedQueue } from '../util/keyed-queue.ts'
import type { Context } from './context.ts'

/** The records of snapshots, and who uses one now. */
export interface SnapshotRecords {
  /** The snapshot that a caller means by a name or id, as with boxes. Throws `snapshot_not_found`. */
  find(ref: string, caller: Owner): Promise<SnapshotRecord>
  /** Does something with a snapshot that must not be removed meanwhile. Throws `snapshot_not_found`, `wrong_state`. */
  using<T>(id: string, work: (snapshot: SnapshotRecord) => Promise<T>): Promise<T>
  /** Whether a call uses it, or a box has yet to become what it holds. */
  isUsed(id: string): Promise<boolean>
  /** Changes of one snapshot, one after another, with its newest record; undefined when it is gone. */
  alone<T>(id: string, work: (snapshot: SnapshotRecord | undefined) => Promise<T>): Promise<T>
  idle(): Promise<void>
}

export function createSnapshotRecords({ deps, boxes }: Pick<Context, 'deps' | 'boxes'>): SnapshotRecords {
  const { store } = deps
  const queue = createKeyedQueue()
  const uses = new Map<string, number>()
  const count = (id: string, change: number): void => {
    const now = (uses.get(id) ?? 0) + change
    if (now === 0) uses.delete(id)
    else uses.set(id, now)
  }
  const alone: SnapshotRecords['alone'] = (id, work) => queue.run(id, async () => work(await store.getSnapshot(id)))

  return {
    alone,
    async find(ref, caller) {
      const at = ref.indexOf('@')
      const owner = at === -1 ? caller : ref.slice(at + 1)
      const byId = isSnapshotId(ref) ? await store.getSnapshot(ref) : undefined
      const found = byId ?? (await store.findSnapshotByName(at === -1 ? ref : ref.slice(0, at), owner))
      if (found && !found.temporary && (caller === null || found.owner === caller)) return found
      throw noSuchSnapshot(ref)
    },
    async using(id, work) {
      const snapshot = await alone(id, async (latest) => {
        if (!latest) throw noSuchSnapshot(id)
        if (latest.status !== 'ready') throw notReady(latest)
        count(id, 1)
        return latest
      })
      try {
        return await work(snapshot)
      } finally {
        count(id, -1)
      }
    },
    async isUsed(id) {
      if (uses.has(id)) return true
      return (await boxes.list()).some(({ from, restoring }) => from === id || restoring === id)
    },
    idle: () => queue.idle(),
  }
}

export const noSuchSnapshot = (ref: string): GibilError =>
  new GibilError('snapshot_not_found', `There is no snapshot "${ref.slice(0, 80)}".`, {
    details: { snapshot: ref.slice(0, 80) },
  })

const notReady = ({ name, status }: SnapshotRecord): GibilError =>
  new GibilError(
    'wrong_state',
    `The snapshot "${name}" is ${status === 'creating' ? 'being made' : 'being removed'}.`,
    {
      hint: 'See `gibil snapshots`.',
    },
  )
