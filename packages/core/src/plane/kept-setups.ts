import { GibilError } from '@gibil/contract'
import type { BoxRecord, Owner } from '../box-record.ts'
import type { SnapshotRecord } from '../snapshot-record.ts'
import { abortable } from '../util/timing.ts'
import type { Context } from './context.ts'
import type { SnapshotRecords } from './snapshot-records.ts'
import type { Snapshots } from './snapshots.ts'

/** All that decides what a set-up script makes of a box. */
type Asked = Pick<
  BoxRecord,
  | 'setup'
  | 'shape'
  | 'provider'
  | 'imageDigest'
  | 'size'
  | 'isolation'
  | 'volumes'
  | 'network'
  | 'egress'
  | 'user'
  | 'cloudInit'
>

/** How a box begins that has a set-up script. */
type Beginning = Pick<BoxRecord, 'from' | 'parent' | 'setupDone'>

/** What set-up scripts made, as snapshots: a box with the same script and image begins as one instead of running it again. */
export interface KeptSetups {
  /** As what the script made, if that is kept; else from the image. Nothing for a box without a script. */
  beginningOf(asked: Asked, owner: Owner): Promise<Beginning | Record<string, never>>
  /** Keeps what the script has just made of a box. Returns why not when it cannot be kept, which is no failure of the box. */
  keep(record: BoxRecord, signal: AbortSignal): Promise<string | undefined>
  /** Removes those that are too old, or too many, or take too much room together. */
  prune(): Promise<void>
}

/** Grows when what a script finds in a box changes. */
const keyVersion = 1

export function createKeptSetups(context: Context, records: SnapshotRecords, snapshots: Snapshots): KeptSetups {
  const { deps, policy } = context
  const { clock, digest, log, store } = deps
  const { most, mostBytes, oldestMs } = policy.setups

  const keyOf = (asked: Asked, owner: Owner): string => {
    const { setup, shape, provider, imageDigest, size, isolation, network, egress, user, cloudInit = null } = asked
    const { cpu, memoryMib, diskMib } = size
    const volumes = asked.volumes?.length ? [asked.volumes] : []
    const made = [
      shape,
      provider,
      imageDigest,
      cpu,
      memoryMib,
      diskMib,
      isolation,
      network,
      egress,
      user,
      cloudInit,
      ...volumes,
    ]
    return digest(JSON.stringify([keyVersion, owner, setup?.run, ...made]))
  }
  const isFresh = ({ createdAt }: SnapshotRecord): boolean => clock.now() - createdAt < oldestMs
  const all = async (owner?: Owner): Promise<SnapshotRecord[]> =>
    (await store.listSnapshots(owner)).filter(({ setup }) => setup !== undefined)

  const prune = async (): Promise<void> => {
    const kept = (await all()).filter(({ status }) => status === 'ready')
    const byUse = kept.toSorted((a, b) => (b.setup?.usedAt ?? 0) - (a.setup?.usedAt ?? 0))
    let bytes = 0
    for (const [index, one] of byUse.entries()) {
      bytes += one.bytes ?? 0
      if (index < most && bytes <= mostBytes && isFresh(one)) continue
      // One that a box is being made of goes another time.
      if (await records.isUsed(one.id)) continue
      await snapshots.remove(one.id).catch((error) => log.warn({ snapshot: one.id, err: error }, 'not removed'))
    }
  }

  return {
    async beginningOf(asked, owner) {
      if (!asked.setup) return {}
      const key = keyOf(asked, owner)
      const kept = (await all(owner)).find((one) => one.setup?.key === key && isFresh(one))
      const used =
        kept &&
        (await records.alone(kept.id, async (latest) => {
          if (latest?.status !== 'ready') return undefined
          await store.saveSnapshot({ ...latest, setup: { key, usedAt: clock.now() } })
          return latest.id
        }))
      if (used === undefined) return { from: null, parent: null, setupDone: false }
      return { from: used, parent: used, setupDone: true }
    },
    async keep(record, signal) {
      // A snapshot at a cloud costs money, for which nobody asked.
      if (record.provider !== 'local') return 'boxes of clouds run it each time'
      const key = keyOf(record, record.owner)
      try {
        // Another box that ran it at the same time, or one that is too old by now.
        for (const one of await all(record.owner)) {
          if (one.setup?.key !== key) continue
          if (one.status !== 'removing' && isFresh(one)) return undefined
          await snapshots.remove(one.id)
        }
        await abortable(snapshots.keepSetup(record, key), signal)
        await prune()
        return undefined
      } catch (error) {
        signal.throwIfAborted()
        log.warn({ box: record.id, err: error }, 'what a set-up script made could not be kept')
        return GibilError.from(error).message
      }
    },
    prune,
  }
}
