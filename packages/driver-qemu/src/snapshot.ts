import { mkdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { createBoxdClient } from '@gibil/boxd-client'
import { GibilError } from '@gibil/contract'
import type { DriverSnapshot, SnapshotKind } from '@gibil/core'
import { assertHostRoom, onHost } from '@gibil/host'
import { type BoxFile, diskOf, readBoxFile } from './box-file.ts'
import type { Context } from './context.ts'
import { dialBoxd, freshness } from './control.ts'
import { copySparse, flush } from './copy.ts'
import { missing, notRunning } from './errors.ts'
import { pausedIn } from './kept.ts'
import { boxMachine, boxPaths } from './names.ts'
import { copySaved, forgetSaved } from './saved.ts'
import {
  describe,
  madeSnapshot,
  readSnapshot,
  removeFiles,
  type SnapshotPaths,
  snapshotIds,
  snapshotPaths,
  writeSnapshot,
} from './snapshot-file.ts'
import { sweepUnused } from './stands-on.ts'
import { saveBox, whileStill } from './still.ts'
import { inspectBox } from './survey.ts'

/** How long a snapshot with memory waits for the guest to write its disk. */
const syncMs = 2000

/** Saves what a box is now. It stands still meanwhile and then goes on as it was. */
export async function snapshot(
  context: Context,
  id: string,
  wanted: { readonly id: string; readonly kind: SnapshotKind },
): Promise<DriverSnapshot> {
  const { names } = context
  const to = snapshotPaths(names, wanted.id)
  if ((await readSnapshot(to)) !== undefined) return describe(names, wanted.id, await madeSnapshot(names, wanted.id))
  const read = await readBoxFile(boxPaths(names, id))
  if (read.kind !== 'box') throw missing(id)
  const { box } = read
  const { status } = await inspectBox(context, id)
  if (status === 'partial' || (status === 'stopped' && wanted.kind !== 'disk')) throw notRunning(id, status)
  await assertHostRoom(names.home)
  // What a crash has left of an earlier try.
  await removeFiles(to)
  try {
    await context.step('snapshot.save')
    await onHost('made the directory of the snapshot', () => mkdir(to.directory, { recursive: true, mode: 0o700 }))
    if (status === 'running') await takeRunning(context, box, wanted.kind, to)
    else await takeStill(context, box, wanted.kind, to)
    await context.step('snapshot.disk')
    await onHost('flushed the disk of the snapshot', () => flush(to.disk))
    const { size } = box.spec
    await context.disks.overlay(to.emptyDisk, { path: to.disk, format: 'qcow2' }, size.diskMib)
    await context.step('snapshot.mark')
    await onHost('noted the snapshot', () =>
      writeSnapshot(to, { version: 1, phase: 'made', kind: wanted.kind, size, standsOn: box.standsOn }),
    )
  } catch (error) {
    await removeFiles(to)
    throw GibilError.from(error, 'driver_failed')
  }
  await context.step('snapshot.end')
  return describe(names, wanted.id, await madeSnapshot(names, wanted.id))
}

async function takeRunning(context: Context, box: BoxFile, kind: SnapshotKind, to: SnapshotPaths): Promise<void> {
  const { id } = box.spec
  const paths = boxPaths(context.names, id)
  const boxd = createBoxdClient((signal) => dialBoxd(context, boxMachine(context.names, id), signal))
  // A disk alone has to hold what programs have written. With the memory, what is not yet on the disk is in there, and only who mounts the snapshot
  // would miss it, so a box that cannot write now is saved all the same.
  const written = boxd.sync()
  await (kind === 'disk' ? written : Promise.race([written, sleep(syncMs)]).catch(() => undefined))
  await whileStill(context, id, async (monitor, pid) => {
    if (kind === 'disk+memory') await saveBox(context, box, { monitor, pid }, to.saved)
    await onHost('copied the disk', () => copySparse(context.run, diskOf(paths, box), to.disk))
    await monitor.run('cont')
  })
  // Its clock stood still. One that does not answer just now has lost some hundred milliseconds and nothing else.
  await boxd.identify(freshness()).catch((error: unknown) => {
    context.log('warn', 'a box was not told the time after a snapshot', { id, error: String(error) })
  })
}

async function takeStill(context: Context, box: BoxFile, kind: SnapshotKind, to: SnapshotPaths): Promise<void> {
  const paths = boxPaths(context.names, box.spec.id)
  const paused = pausedIn(paths, box)
  await onHost('copied the disk', () => copySparse(context.run, diskOf(paths, box), to.disk))
  if (kind === 'disk' || paused === undefined) return
  await onHost('copied the saved machine', () => copySaved(context.run, paused, to.saved))
}

export async function removeSnapshot(context: Context, id: string): Promise<void> {
  const { names } = context
  const paths = snapshotPaths(names, id)
  const file = await readSnapshot(paths)
  if (file === 'damaged') {
    throw new GibilError('driver_failed', `What the host kept of snapshot ${id} is damaged, so it is not removed.`, {
      hint: `Boxes may stand on its disk. Where none does, remove ${paths.directory}.`,
    })
  }
  if (file === undefined) return removeFiles(paths)
  await context.step('remove-snapshot.mark')
  await onHost('noted that the snapshot is removed', () => writeSnapshot(paths, { ...file, phase: 'removed' }))
  // Machines that began as it have its memory mapped and need no name for it.
  await context.step('remove-snapshot.sweep')
  await forgetSaved(paths.saved)
  await sweepUnused(names)
}

export async function listSnapshots(context: Context): Promise<DriverSnapshot[]> {
  const { names } = context
  const found: DriverSnapshot[] = []
  for (const id of await snapshotIds(names)) {
    const file = await readSnapshot(snapshotPaths(names, id))
    if (file !== undefined && file !== 'damaged' && file.phase === 'made') found.push(await describe(names, id, file))
  }
  return found
}
