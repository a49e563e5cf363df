import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type HomeNames, namesIn } from '@gibil/host'
import { readBoxFile } from './box-file.ts'
import { boxPaths } from './names.ts'
import { readSnapshot, removeFiles, snapshotIds, snapshotPaths } from './snapshot-file.ts'

/** Every path that the disk of a box or a snapshot holds the difference to. Undefined when it cannot be told, since one of them is damaged. */
export async function stoodOn(names: HomeNames): Promise<Set<string> | undefined> {
  const used = new Set<string>()
  for (const id of await namesIn(names.boxesDir)) {
    const read = await readBoxFile(boxPaths(names, id))
    if (read.kind === 'damaged') return undefined
    if (read.kind === 'box') for (const path of read.box.standsOn) used.add(path)
  }
  for (const id of await snapshotIds(names)) {
    const file = await readSnapshot(snapshotPaths(names, id))
    if (file === 'damaged') return undefined
    if (file) for (const path of file.standsOn) used.add(path)
  }
  return used
}

/** Disks that were filled for one box, in a directory with those of images: nothing else will ever begin as such a one. */
const imageDisks = (names: HomeNames): string => join(names.cacheDir, 'images')
const filledPrefix = 'filled-'
export const filledDisk = (names: HomeNames, id: string, which: string): string =>
  join(imageDisks(names), `${filledPrefix}${id}-${which}.ext4`)

/**
 * Takes away snapshots that were removed, and disks that were filled for one box, where nothing stands on them any more. Each that goes may free the one
 * below it.
 */
export async function sweepUnused(names: HomeNames): Promise<void> {
  await sweepSnapshots(names)
  const used = await stoodOn(names)
  for (const name of used ? await namesIn(imageDisks(names)) : []) {
    const path = join(imageDisks(names), name)
    if (name.startsWith(filledPrefix) && !used?.has(path)) await rm(path, { force: true })
  }
}

async function sweepSnapshots(names: HomeNames): Promise<void> {
  for (let swept = true; swept; ) {
    swept = false
    const used = await stoodOn(names)
    if (used === undefined) return
    for (const id of await snapshotIds(names)) {
      const paths = snapshotPaths(names, id)
      const file = await readSnapshot(paths)
      if (file === undefined || file === 'damaged' || file.phase !== 'removed' || used.has(paths.directory)) continue
      await removeFiles(paths)
      swept = true
    }
  }
}

/** For when nothing is being made: also takes away snapshots that were never finished. */
export async function sweepUnfinished(names: HomeNames): Promise<void> {
  for (const id of await snapshotIds(names)) {
    const paths = snapshotPaths(names, id)
    if ((await readSnapshot(paths)) === undefined) await removeFiles(paths)
  }
  await sweepUnused(names)
}
