import { GibilError, type Mount, type MountSnapshot } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'
import type { Driver, DriverMount } from '../ports/driver.ts'
import type { Context } from './context.ts'
import type { Reconciler } from './reconciler.ts'
import { noSuchSnapshot, type SnapshotRecords } from './snapshot-records.ts'

/** Snapshots that can be read in boxes that run. Nothing of it is written down: what a box has mounted, its driver knows. */
export interface Mounts {
  mount(ref: string, input: MountSnapshot): Promise<Mount>
  /** `what`: the path, or the name or id of the snapshot. */
  unmount(ref: string, what: string): Promise<Mount>
  mounts(ref: string): Promise<Mount[]>
}

type Mounter = Driver & Required<Pick<Driver, 'mountSnapshot' | 'unmountSnapshot' | 'listMounts'>>

/** PATH_MAX of linux/limits.h, less the NUL. */
const longestPath = 4095

export function createMounts(
  { boxes, deps, drivers, takeover }: Context,
  records: SnapshotRecords,
  reconciler: Pick<Reconciler, 'alone'>,
): Mounts {
  const find = async (ref: string): Promise<BoxRecord> => {
    const { id } = await boxes.find(ref)
    await takeover.one(id)
    return boxes.find(id)
  }
  const view = async ({ owner }: BoxRecord, { path, snapshotId }: DriverMount): Promise<Mount> => {
    const snapshot = await deps.store.getSnapshot(snapshotId)
    return { path, snapshotId, snapshot: snapshot?.owner === owner ? snapshot.name : null }
  }
  const listed = async (record: BoxRecord, driver: Mounter): Promise<Mount[]> =>
    Promise.all((await driver.listMounts(record.id)).map((one) => view(record, one)))

  return {
    async mount(ref, input) {
      const record = await find(ref)
      const driver = mounterOf(drivers.for(record), record)
      const { id: snapshotId, owner } = await records.find(input.snapshot, record.owner)
      // The administrator finds everybody's by its id.
      if (owner !== record.owner) throw noSuchSnapshot(input.snapshot)
      return records.using(snapshotId, async ({ name, saved }) => {
        if (saved.shape !== record.shape || saved.imageDigest !== record.imageDigest) {
          throw new GibilError(
            'wrong_state',
            `The snapshot "${name}" is of a box with another shape or image than "${record.name}" has.`,
            { hint: `Make a box of it instead: \`gibil fork ${name}\`.` },
          )
        }
        const path = checkPath(input.path ?? `/snapshots/${name}`)
        return reconciler.alone(record.id, async (signal) => {
          checkRuns(await boxes.find(record.id))
          return view(record, await driver.mountSnapshot(record.id, snapshotId, path, { signal }))
        })
      })
    },
    async unmount(ref, what) {
      const record = await find(ref)
      const driver = mounterOf(drivers.for(record), record)
      return reconciler.alone(record.id, async () => {
        checkRuns(await boxes.find(record.id))
        const mounts = await listed(record, driver)
        const found = mounts.filter(({ path, snapshot, snapshotId }) => [path, snapshot, snapshotId].includes(what))
        const [mount] = found
        if (!mount) {
          throw new GibilError(
            'file_not_found',
            `The box "${record.name}" has nothing mounted at "${what.slice(0, 80)}".`,
            {
              hint: `See what it has: \`gibil mount ${record.name}\`.`,
            },
          )
        }
        if (found.length > 1) {
          throw new GibilError('invalid_request', `"${what.slice(0, 80)}" is mounted in several places.`, {
            hint: `Name one: ${found.map(({ path }) => path).join(', ')}.`,
          })
        }
        await driver.unmountSnapshot(record.id, mount.path)
        return mount
      })
    },
    async mounts(ref) {
      const record = await find(ref)
      if (record.status !== 'running' && record.status !== 'paused') return []
      return listed(record, mounterOf(drivers.for(record), record))
    },
  }
}

function mounterOf(driver: Driver, { shape }: BoxRecord): Mounter {
  if (isMounter(driver)) return driver
  throw new GibilError('unsupported_by_shape', `Snapshots cannot be mounted in a box of shape ${shape}.`, {
    hint: 'Make a box of the snapshot instead: `gibil fork`.',
  })
}

const isMounter = (driver: Driver): driver is Mounter =>
  driver.mountSnapshot !== undefined && driver.unmountSnapshot !== undefined && driver.listMounts !== undefined

function checkRuns({ name, status }: BoxRecord): void {
  if (status === 'running') return
  throw new GibilError('wrong_state', `The box "${name}" is ${status}, so nothing can be mounted in it.`, {
    hint:
      status === 'paused' ? `Resume it first: \`gibil resume ${name}\`.` : `Start it first: \`gibil start ${name}\`.`,
    details: { status, name },
  })
}

function checkPath(path: string): string {
  const refuse = (why: string): never => {
    throw new GibilError('invalid_path', `${JSON.stringify(path.slice(0, 80))} ${why}.`, {
      hint: 'Give an absolute path in the box, such as /snapshots/before.',
    })
  }
  if (!path.startsWith('/')) refuse('is not an absolute path')
  if (/\p{Cc}/u.test(path)) refuse('holds a control character')
  if (Buffer.byteLength(path) > longestPath) refuse('is too long')
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.length === 0 || parts.includes('..')) refuse('is the root, or leads upwards')
  return `/${parts.join('/')}`
}
