import { existsSync } from 'node:fs'
import { link, rename, rm } from 'node:fs/promises'
import { GibilError } from '@gibil/contract'
import type { DriverBox, DriverOptions, DriverSpec } from '@gibil/core'
import { assertHostRoom, type ExitWatch, onHost, throwIfAborted } from '@gibil/host'
import { assertSpec, type BoxFile, readBoxFile, writeBoxFile } from './box-file.ts'
import { type BoxPaths, boxPaths } from './box-paths.ts'
import { clear } from './clear.ts'
import type { Context } from './context.ts'
import { addressOfBox, forge } from './forge.ts'
import { snapshotFor, snapshotPaths } from './snapshot-file.ts'
import { inspectBox } from './survey.ts'

/**
 * Puts a box back to a snapshot. Its disk is copied while the box still runs; then the box is ended, the disks change places, and it is
 * started. The box file says that this is under way, so that whatever comes next after a crash puts the old disk back (`undoRestore`); the old
 * disk goes once the box runs.
 */
export async function restore(
  context: Context,
  watch: ExitWatch,
  spec: DriverSpec,
  snapshotId: string,
  options: DriverOptions,
): Promise<DriverBox> {
  const { hostkit, names } = context
  const paths = boxPaths(names, spec.id)
  assertSpec(spec)
  throwIfAborted(options.signal)
  const read = await readBoxFile(paths)
  if (read.kind !== 'box' || (await inspectBox(context, spec.id)).status === 'partial') {
    throw new GibilError('wrong_state', `Box ${spec.id} is not whole, so it cannot be restored.`)
  }
  const snapshot = snapshotFor(names, snapshotId, read.box.spec)
  await assertHostRoom(names.home)

  await context.step('restore.copy')
  if (read.box.restoring) await end(context, watch, read.box)
  const before = await undoRestore(paths, read.box)
  await onHost('copied the disk of the snapshot', async () => {
    await rm(paths.nextDiskImage, { force: true })
    const image = snapshotPaths(names, snapshotId).diskImage
    await hostkit.diskCreate({ image: paths.nextDiskImage, sizeMib: snapshot.diskMib, from: image })
  })
  throwIfAborted(options.signal)

  const kept = before.spec
  const after: BoxFile = {
    ...before,
    diskUidBase: snapshot.uidBase,
    spec: { ...spec, image: kept.image, size: { ...spec.size, diskMib: kept.size.diskMib } },
  }
  const address = addressOfBox(context, after)
  try {
    await context.step('restore.clear')
    await end(context, watch, before)
    await context.step('restore.swap')
    await onHost("changed the box's disk", async () => {
      await writeBoxFile(paths, { ...before, restoring: true }, { durable: true })
      await link(paths.diskImage, paths.formerDiskImage)
      await rename(paths.nextDiskImage, paths.diskImage)
    })
    const pid = await forge(context, 'restore', after, options)
    await context.step('restore.made')
    await onHost('noted that the box is restored', () => writeBoxFile(paths, { ...after, address }, { durable: true }))
    await onHost('removed the disk that the box had', () => rm(paths.formerDiskImage, { force: true }))
    watch.watch(spec.id, pid)
    await context.step('restore.end')
    return { id: spec.id, status: 'running', address }
  } catch (error) {
    try {
      await end(context, watch, after)
      const now = await readBoxFile(paths)
      if (now.kind === 'box') await undoRestore(paths, now.box)
    } catch (undo) {
      context.log('warn', 'a restore that failed could not be taken back', { id: spec.id, error: String(undo) })
    }
    throw GibilError.from(error, 'driver_failed')
  }
}

const end = async (context: Context, watch: ExitWatch, box: BoxFile): Promise<void> => {
  watch.forget(box.spec.id)
  await clear(context, box.spec.id, box)
}

/** Gives a box that is not mounted the disk back that it had before a restore that did not come to its end. Answers what it is then. */
export async function undoRestore(paths: BoxPaths, box: BoxFile): Promise<BoxFile> {
  const { restoring, ...before } = box
  if (restoring) {
    if (existsSync(paths.formerDiskImage)) await rename(paths.formerDiskImage, paths.diskImage)
    await writeBoxFile(paths, before, { durable: true })
  }
  // The restore that these belong to has come to its end, or had not begun to change anything.
  await rm(paths.formerDiskImage, { force: true })
  await rm(paths.nextDiskImage, { force: true })
  return before
}
