import { type CreateVolume, GibilError, type Isolation, type Volume, type VolumeMount } from '@gibil/contract'
import { newVolumeId } from '../box/ids.ts'
import { checkCanMount, checkMountPaths } from '../box/volume-mounts.ts'
import type { MountedVolume, Owner } from '../box-record.ts'
import type { Driver } from '../ports/driver.ts'
import type { VolumeRecord } from '../ports/volumes.ts'
import { createKeyedQueue } from '../util/keyed-queue.ts'
import type { Context } from './context.ts'

/** The volumes of one caller, by name or id; the administrator has all, and finds those of a token by id. */
export interface Volumes {
  /** Counts as disk of its owner. Throws `name_in_use`, `limit_reached`, `disk_full`. */
  create(input: CreateVolume, options?: { readonly owner?: Owner }): Promise<Volume>
  /** Oldest first. Without an owner: everybody's. */
  list(options?: { readonly owner?: Owner }): Promise<Volume[]>
  /** Throws `volume_not_found`. */
  get(ref: string, options?: { readonly owner?: Owner }): Promise<Volume>
  /** With all that is in it. Throws `volume_not_found`, and `wrong_state` while a box has it. */
  remove(ref: string, options?: { readonly owner?: Owner }): Promise<Volume>
}

const defaultSizeMib = 10_240

type Parts = Pick<Context, 'deps' | 'boxes' | 'admission' | 'policy'>

export function createVolumes({ deps, boxes, admission, policy }: Parts): Volumes {
  const { clock, random, volumes } = deps
  const queue = createKeyedQueue()

  const boxesWith = async (id: string): Promise<string[]> =>
    (await boxes.list()).filter((box) => box.volumes?.some((one) => one.id === id)).map(({ name }) => name)

  const view = async ({ createdAt, ...record }: VolumeRecord): Promise<Volume> => ({
    ...record,
    bytes: await volumes.bytes(record.id),
    boxes: await boxesWith(record.id),
    createdAt: new Date(createdAt).toISOString(),
  })

  return {
    // One after another, so that no two get one name.
    create: ({ name, sizeMib = defaultSizeMib }, { owner = null } = {}) =>
      queue.run('', async () => {
        const kept = await volumes.list()
        if (kept.some((one) => one.name === name && one.owner === owner)) {
          throw new GibilError('name_in_use', `A volume named "${name}" exists already.`, { details: { name } })
        }
        if (kept.length >= policy.maxVolumes) {
          throw new GibilError('limit_reached', `${kept.length} volumes are kept, and this daemon takes no more.`, {
            hint: 'Remove those that are not needed: `gibil volume list`.',
            details: { limit: 'volumes', used: kept.length, asked: 1, allowed: policy.maxVolumes },
          })
        }
        const record = { id: newVolumeId(random), name, owner, sizeMib, createdAt: clock.now() }
        await admission.holdDisk(owner, sizeMib, () => volumes.create(record))
        return view(record)
      }),
    async list({ owner } = {}) {
      const kept = (await volumes.list()).filter((one) => owner === undefined || one.owner === owner)
      return Promise.all(kept.toSorted((a, b) => a.createdAt - b.createdAt).map(view))
    },
    get: async (ref, { owner = null } = {}) => view(await findVolume(volumes, ref, owner)),
    remove: (ref, { owner = null } = {}) =>
      queue.run('', async () => {
        const record = await findVolume(volumes, ref, owner)
        const before = await view(record)
        if (before.boxes.length > 0) {
          const [first = ''] = before.boxes
          throw new GibilError('wrong_state', `The volume "${record.name}" is in ${before.boxes.length} boxes.`, {
            hint: `Destroy them first, such as \`gibil destroy ${first}\`.`,
            details: { boxes: before.boxes },
          })
        }
        await volumes.remove(record.id)
        return before
      }),
  }
}

async function findVolume(volumes: Parts['deps']['volumes'], ref: string, owner: Owner): Promise<VolumeRecord> {
  const kept = await volumes.list()
  const found =
    kept.find((one) => one.name === ref && one.owner === owner) ??
    kept.find((one) => one.id === ref && (owner === null || one.owner === owner))
  if (found) return found
  throw new GibilError('volume_not_found', `There is no volume "${ref.slice(0, 80)}".`)
}

/** What a box of that owner is to have. Throws `unsupported_by_shape`, `invalid_path`, `volume_not_found`. */
export async function settleVolumes(
  { deps }: Pick<Context, 'deps'>,
  mounts: readonly VolumeMount[] | undefined,
  owner: Owner,
  { driver, isolation }: { readonly driver: Driver; readonly isolation: Isolation },
): Promise<readonly MountedVolume[]> {
  if (mounts === undefined || mounts.length === 0) return []
  checkCanMount(driver, isolation)
  checkMountPaths(mounts)
  return Promise.all(
    mounts.map(async ({ volume, path }) => {
      const { id, name } = await findVolume(deps.volumes, volume, owner)
      return { id, name, path }
    }),
  )
}

/** Those of a box that is forked, or of a snapshot, must still be there. Throws `volume_not_found`. */
export async function checkVolumes(
  { deps }: Pick<Context, 'deps'>,
  wanted: readonly MountedVolume[] | undefined,
): Promise<void> {
  if (!wanted?.length) return
  const kept = new Set((await deps.volumes.list()).map(({ id }) => id))
  const gone = wanted.find(({ id }) => !kept.has(id))
  if (gone) throw new GibilError('volume_not_found', `The volume "${gone.name}", which the box had, was removed.`)
}
