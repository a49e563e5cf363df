import { type CreateSnapshot, GibilError, type Snapshot, type SnapshotKind } from '@gibil/contract'
import { newSnapshotId } from '../box/ids.ts'
import { checkSnapshotName, friendlyName } from '../box/names.ts'
import { checkHasState, kindOf, savedOf } from '../box/snapshot-rules.ts'
import { toSnapshot } from '../box/snapshot-view.ts'
import type { BoxRecord, Owner } from '../box-record.ts'
import type { Driver, DriverSnapshot } from '../ports/driver.ts'
import type { Saved, SnapshotRecord } from '../snapshot-record.ts'
import type { Context } from './context.ts'
import type { Reconciler } from './reconciler.ts'
import type { SnapshotRecords } from './snapshot-records.ts'

export interface Snapshots {
  /** Takes one. A temporary one is told to nobody, and goes when nothing needs it. */
  take(box: BoxRecord, input: CreateSnapshot, temporary: boolean): Promise<SnapshotRecord>
  /** Keeps what a set-up script made of a box whose repository is yet to come. Throws as `take`, and `name_in_use` where it is kept already. */
  keepSetup(box: BoxRecord, key: string): Promise<SnapshotRecord>
  list(filter: { readonly box?: string; readonly owner?: Owner }): Promise<Snapshot[]>
  /** Throws `wrong_state` while a box is being made of it or put back to it. */
  remove(id: string): Promise<void>
  /** Notes what an earlier daemon left unfinished, before any other call. */
  begin(): Promise<void>
  /** Finishes that, and removes temporary ones that are not needed and what drivers have of none that is known. */
  tend(): Promise<void>
  /** Removes temporary ones that are not needed. */
  reap(): Promise<void>
}

export function createSnapshots(
  context: Context,
  records: SnapshotRecords,
  reconciler: Pick<Reconciler, 'alone'>,
  isSettingUp: (id: string) => boolean,
): Snapshots {
  const { boxes, deps, drivers, events, policy, stopping } = context
  const { store, log } = deps
  /** What an earlier daemon had begun and this one has not finished yet. */
  const leftovers = new Set<string>()

  const insert = async (record: SnapshotRecord, name: string | undefined): Promise<SnapshotRecord> => {
    if (!record.temporary) await checkRoom(record.owner)
    for (let tries = 1; ; tries += 1) {
      const named = record.temporary ? record : { ...record, name: name ?? friendlyName(deps.random) }
      try {
        await store.insertSnapshot(named)
        return named
      } catch (error) {
        const taken = GibilError.is(error) && error.code === 'name_in_use'
        if (!taken || name !== undefined || tries >= nameTries) throw error
      }
    }
  }

  const checkRoom = async (owner: Owner): Promise<void> => {
    const kept = await store.listSnapshots()
    const token = owner === null ? undefined : await store.getToken(owner)
    const own = kept.filter((one) => one.owner === owner).length
    const allowed = token?.limits.boxes ?? null
    const hint = 'Remove one that is not needed: `gibil snapshots rm <snapshot>`.'
    if (allowed !== null && own >= allowed) {
      throw new GibilError('limit_reached', `"${owner}" keeps ${own} snapshots, as many as it may have boxes.`, {
        hint,
        details: { limit: 'snapshots', used: own, allowed },
      })
    }
    if (kept.length < policy.maxSnapshots) return
    throw new GibilError('limit_reached', `${kept.length} snapshots are kept, as many as this daemon takes.`, {
      hint,
      details: { limit: 'daemon', used: kept.length, allowed: policy.maxSnapshots },
    })
  }

  /** It is made: from now on it can be used. */
  const complete = async (record: SnapshotRecord, { bytes }: DriverSnapshot): Promise<SnapshotRecord> => {
    if (!record.temporary) await boxes.update(record.boxId, () => ({ parent: record.id }))
    const ready: SnapshotRecord = { ...record, status: 'ready', bytes }
    await store.saveSnapshot(ready)
    if (!record.temporary) {
      await events.append('box.snapshot', boxOf(record), { snapshot: record.name, snapshotId: record.id, bytes })
    }
    return ready
  }

  /** Those that came of it are now of what it came of. */
  const adopt = async ({ id, parent }: SnapshotRecord): Promise<void> => {
    for (const child of await store.listSnapshots()) {
      if (child.parent === id) await store.saveSnapshot({ ...child, parent })
    }
    for (const box of await boxes.list()) {
      if (box.parent === id) await boxes.update(box.id, (latest) => (latest.parent === id ? { parent } : undefined))
    }
  }

  const finishRemoval = async (record: SnapshotRecord): Promise<void> => {
    await drivers.for(record.saved).removeSnapshot?.(record.id)
    await adopt(record)
    await store.removeSnapshot(record.id)
    if (record.temporary) return
    await events.append('snapshot.removed', boxOf(record), { snapshot: record.name, snapshotId: record.id })
  }

  /** One that is whole is kept though nobody heard so; of any other nothing is. */
  const settle = (id: string): Promise<void> =>
    records.alone(id, async (record) => {
      if (record?.status === 'removing') await finishRemoval(record)
      if (record?.status === 'creating') {
        const driver = drivers.for(record.saved)
        const made = (await driver.listSnapshots?.())?.find((one) => one.id === id)
        if (made) await complete(record, made)
        else {
          await driver.removeSnapshot?.(id)
          await store.removeSnapshot(id)
        }
      }
      leftovers.delete(id)
    })

  const reap = async (): Promise<void> => {
    for (const { id, temporary } of await store.listSnapshots()) {
      if (!temporary) continue
      await orWarn(id, () =>
        records.alone(id, async (record) => {
          if (record?.status === 'ready' && !(await records.isUsed(id))) await finishRemoval(record)
        }),
      )
    }
  }

  const orWarn = async (id: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work()
    } catch (error) {
      log.warn({ snapshot: id, err: error }, 'a snapshot is not as it should be')
    }
  }

  /** A snapshot is written down before it is made, so what has no record when the driver has been asked belongs to nobody. */
  const sweep = async (): Promise<void> => {
    for (const driver of drivers.opened()) {
      for (const { id } of (await driver.listSnapshots?.()) ?? []) {
        await orWarn(id, () =>
          records.alone(id, async (record) => {
            if (!record) await driver.removeSnapshot?.(id)
          }),
        )
      }
    }
  }

  const draftOf = (latest: BoxRecord, kind: SnapshotKind): Omit<SnapshotRecord, 'saved'> => {
    const id = newSnapshotId(deps.random)
    return {
      id,
      name: id,
      owner: latest.owner,
      status: 'creating',
      kind,
      boxId: latest.id,
      boxName: latest.name,
      parent: latest.parent,
      bytes: null,
      temporary: false,
      createdAt: deps.clock.now(),
    }
  }

  /** Written down before it is made, while no step is under way for the box. */
  const save = async (
    box: BoxRecord,
    plan: (latest: BoxRecord, driver: Driver) => Promise<{ draft: SnapshotRecord; name: string | undefined }>,
  ): Promise<SnapshotRecord> => {
    const driver = drivers.for(box)
    if (!driver.snapshot || !driver.capabilities.has('snapshot')) {
      throw new GibilError('unsupported_by_shape', `A box of shape ${box.shape} has no snapshots.`)
    }
    const make = driver.snapshot.bind(driver)
    return reconciler.alone(box.id, async (signal) => {
      const latest = await boxes.find(box.id)
      const { draft, name } = await plan(latest, driver)
      const record = await insert(draft, name)
      try {
        return await complete(record, await make(latest.id, { id: record.id, kind: record.kind }, { signal }))
      } catch (error) {
        // Then the next start finds it as a crash would leave it.
        stopping.throwIfAborted()
        await store.removeSnapshot(record.id)
        throw signal.aborted ? signal.reason : GibilError.from(error, 'driver_failed')
      }
    })
  }

  return {
    async take(box, input, temporary) {
      if (input.name !== undefined) checkSnapshotName(input.name)
      return save(box, async (latest, driver) => {
        checkHasState(latest, 'saved', isSettingUp(box.id) || !isSetUp(latest))
        const kind = kindOf(driver, latest, input.kind)
        return { draft: { ...draftOf(latest, kind), temporary, saved: savedOf(latest) }, name: input.name }
      })
    },
    keepSetup: (box, key) =>
      save(box, async (latest, driver) => ({
        draft: {
          ...draftOf(latest, kindOf(driver, latest, undefined)),
          setup: { key, usedAt: deps.clock.now() },
          saved: beforeRepo(latest),
        },
        name: `setup-${key.slice(0, 12)}`,
      })),
    async list({ box, owner }) {
      const all = await store.listSnapshots(owner)
      const of = ({ boxId, boxName, owner: whose }: SnapshotRecord): boolean =>
        box === undefined || box === boxId || box === boxName || box === `${boxName}@${whose}`
      return all.filter((record) => !record.temporary && of(record)).map(toSnapshot)
    },
    remove: (id) =>
      records.alone(id, async (record) => {
        if (!record) return
        if (record.status === 'creating' || (await records.isUsed(id))) throw inUse(record)
        await store.saveSnapshot({ ...record, status: 'removing' })
        leftovers.add(id)
        await finishRemoval(record)
        leftovers.delete(id)
      }),
    async begin() {
      for (const { id, status } of await store.listSnapshots()) if (status !== 'ready') leftovers.add(id)
    },
    async tend() {
      for (const id of [...leftovers]) await orWarn(id, () => settle(id))
      await reap()
      await sweep()
    },
    reap,
  }
}

/** Names that are made up collide hardly ever; more often than this is a fault. */
const nameTries = 8

/** What a box that begins as it is: set up, with nothing in it of the one that it was taken of. */
const beforeRepo = (record: BoxRecord): Saved => ({
  ...savedOf(record),
  ...{ repo: null, config: null, env: {}, labels: {}, ports: [], explicit: [], remakes: 0 },
  ...{ tasksDone: false, readiness: 'ready', failure: null },
})

const isSetUp = ({ readiness }: BoxRecord): boolean => readiness === 'ready' || readiness === 'failed'

const boxOf = ({ boxId, boxName, owner }: SnapshotRecord): { id: string; name: string; owner: Owner } => ({
  id: boxId,
  name: boxName,
  owner,
})

const inUse = ({ name, status }: SnapshotRecord): GibilError =>
  new GibilError(
    'wrong_state',
    status === 'creating'
      ? `The snapshot "${name}" is being made.`
      : `A box is being made of the snapshot "${name}", or put back to it.`,
    { hint: 'Wait until that is done, then remove it.' },
  )
