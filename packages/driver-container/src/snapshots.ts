import { existsSync } from 'node:fs'
import { mkdir, rm, stat } from 'node:fs/promises'
import { GibilError } from '@gibil/contract'
import type { DriverOptions, DriverSnapshot, SnapshotKind } from '@gibil/core'
import { assertHostRoom, namesIn, onHost, throwIfAborted, writeWhole } from '@gibil/host'
import { diskOwner, readBoxFile } from './box-file.ts'
import { boxPaths } from './box-paths.ts'
import type { Context } from './context.ts'
import { readSnapshot, type SnapshotFile, type SnapshotPaths, snapshotPaths, snapshotsDir } from './snapshot-file.ts'
import { inspectBox } from './survey.ts'

/** Saves the disk of a box, frozen for as long as the copy takes. What a hostile box wrote is copied as it is and looked at by nobody. */
export async function snapshot(
  context: Context,
  id: string,
  given: { readonly id: string; readonly kind: SnapshotKind },
  options: DriverOptions,
): Promise<DriverSnapshot> {
  const { hostkit, names } = context
  const paths = snapshotPaths(names, given.id)
  if (given.kind !== 'disk') {
    throw new GibilError('unsupported_by_shape', 'The memory of a container cannot be saved.', {
      hint: 'Save its disk alone.',
    })
  }
  throwIfAborted(options.signal)
  if (readSnapshot(paths)) return describe(paths, given.id)
  const box = boxPaths(names, id)
  const [read, { status }] = await Promise.all([readBoxFile(box), inspectBox(context, id), assertHostRoom(names.home)])
  if (read.kind !== 'box' || status === 'partial') {
    throw new GibilError('wrong_state', `Box ${id} is not whole, so it cannot be saved.`)
  }
  const { spec } = read.box
  const file: SnapshotFile = {
    version: 1,
    id: given.id,
    boxId: id,
    uidBase: diskOwner(read.box),
    digest: spec.image.digest,
    diskMib: spec.size.diskMib,
    isolation: spec.isolation,
  }
  try {
    await context.step('snapshot.dir')
    await onHost('made room for the snapshot', async () => {
      // Remains of a call that was killed may be a copy of another moment.
      await rm(paths.dir, { recursive: true, force: true })
      await mkdir(paths.dir, { recursive: true, mode: 0o700 })
    })
    await context.step('snapshot.save')
    const begun = performance.now()
    const target = status === 'running' || status === 'paused' ? { target: box.disk } : {}
    await onHost("saved the box's disk", async () => {
      try {
        await hostkit.diskSave({ image: box.diskImage, to: paths.diskImage, ...target })
      } catch (error) {
        // A hostkit that was killed has thawed nothing.
        await hostkit.diskThaw({ target: box.disk })
        throw error
      }
    })
    options.trace?.('save', performance.now() - begun)
    throwIfAborted(options.signal)
    await context.step('snapshot.note')
    await onHost('noted the snapshot', () => writeWhole(paths.file, `${JSON.stringify(file)}\n`, { durable: true }))
    await context.step('snapshot.end')
    return await describe(paths, given.id)
  } catch (error) {
    await rm(paths.dir, { recursive: true, force: true })
    throw GibilError.from(error, 'driver_failed')
  }
}

/** What it takes is an upper bound: where the host's file system shares blocks, some of them are the box's too. */
async function describe(paths: SnapshotPaths, id: string): Promise<DriverSnapshot> {
  const { blocks } = await stat(paths.diskImage)
  return { id, kind: 'disk', bytes: blocks * 512 }
}

/** Boxes that began as it have copies of their own. */
export async function removeSnapshot(context: Context, id: string): Promise<void> {
  const paths = snapshotPaths(context.names, id)
  await context.step('remove.note')
  await onHost('removed the snapshot', () => rm(paths.file, { force: true }))
  await context.step('remove.disk')
  await onHost('removed the disk of the snapshot', () => rm(paths.dir, { recursive: true, force: true }))
  await context.step('remove.end')
}

export async function listSnapshots({ names }: Context): Promise<DriverSnapshot[]> {
  const ids = (await namesIn(snapshotsDir(names))).sort()
  const whole = ids.map((id) => ({ id, paths: snapshotPaths(names, id) })).filter(({ paths }) => existsSync(paths.file))
  return Promise.all(whole.map(({ id, paths }) => describe(paths, id)))
}
