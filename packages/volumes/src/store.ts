import { chmod, mkdir, rm, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import type { VolumeFiles, VolumeRecord, VolumeStore } from '@gibil/core'
import {
  assertHostRoom,
  directoriesIn,
  homeNames,
  onHost,
  parseJson,
  readIfThere,
  volumeDisk,
  writeWhole,
} from '@gibil/host'
import type { HostKit } from '@gibil/hostkit-client'
import * as z from 'zod'
import { filesOf } from './files.ts'
import { createMounts } from './mounts.ts'

export interface VolumeKeeper extends VolumeStore {
  /** Throws `volume_not_found` in each call, should there be none. */
  files(id: string): VolumeFiles
}

const Kept = z.object({
  id: z.string(),
  name: z.string(),
  owner: z.string().nullable(),
  sizeMib: z.int(),
  createdAt: z.number(),
}) satisfies z.ZodType<VolumeRecord>

/**
 * The volumes of a home: `volumes/<id>/` with a disk of its own, whose size is the most that it holds, and `volume.json`, which is written last and
 * removed first: a directory without one is the remainder of a create or a removal, and goes.
 */
export async function openVolumes(
  home: string,
  hostkit: Pick<HostKit, 'diskCreate' | 'diskMount' | 'unmount'>,
): Promise<VolumeKeeper> {
  const names = homeNames(home)
  const mounts = createMounts(names, hostkit)
  const dirOf = (id: string): string => join(names.volumesDir, id)
  const noteOf = (id: string): string => join(dirOf(id), 'volume.json')
  const kept = new Map<string, VolumeRecord>()

  await mounts.clear()
  for (const id of await directoriesIn(names.volumesDir)) {
    const parsed = Kept.safeParse(parseJson((await readIfThere(noteOf(id))) ?? ''))
    if (parsed.success) kept.set(id, parsed.data)
    else await rm(dirOf(id), { recursive: true, force: true })
  }

  const use = async <T>(id: string, work: (root: string) => Promise<T>): Promise<T> => {
    if (kept.has(id)) return mounts.use(id, work)
    throw new GibilError('volume_not_found', `There is no volume "${id.slice(0, 80)}".`)
  }

  return {
    list: async () => [...kept.values()],
    async create(record) {
      const { id, sizeMib } = record
      try {
        await assertHostRoom(home)
        await onHost('made the disk of the volume', async () => {
          await mkdir(dirOf(id), { recursive: true, mode: 0o700 })
          await hostkit.diskCreate({ image: volumeDisk(names, id), sizeMib })
          await mounts.use(id, prepare)
          await writeWhole(noteOf(id), `${JSON.stringify(record, null, 2)}\n`, { durable: true })
        })
      } catch (error) {
        await rm(dirOf(id), { recursive: true, force: true })
        throw error
      }
      kept.set(id, record)
    },
    async remove(id) {
      if (!kept.delete(id)) return
      await rm(noteOf(id), { force: true })
      await rm(dirOf(id), { recursive: true, force: true })
    },
    async bytes(id) {
      // st_blocks counts 512 bytes whatever the file system (stat(2)).
      return (await stat(volumeDisk(names, id))).blocks * 512
    },
    files: (id) => filesOf((work) => use(id, work)),
  }
}

/** Who a box runs commands as is its own affair: each of its users may write, as in /tmp. */
async function prepare(root: string): Promise<void> {
  await rmdir(join(root, 'lost+found'))
  await chmod(root, 0o777)
}
