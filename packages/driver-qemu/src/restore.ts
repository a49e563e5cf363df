import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import type { DriverBox, DriverOptions, DriverSpec } from '@gibil/core'
import { type ExitWatch, onHost } from '@gibil/host'
import { assertSpec, type BoxFile, readBoxFile, writeBoxFile } from './box-file.ts'
import { bringUp } from './bring-up.ts'
import { clear } from './clear.ts'
import type { Context } from './context.ts'
import { identityOf } from './control.ts'
import { missing, notRunning } from './errors.ts'
import { assertWhole, diskFrom, originOf } from './fork.ts'
import { sweepKept } from './kept.ts'
import { boxPaths } from './names.ts'
import { pause, resume } from './pause.ts'
import { sweepUnused } from './stands-on.ts'
import { addressOfBox, inspectBox } from './survey.ts'

/**
 * Makes a box again what a snapshot holds. A box that runs is paused first, so that all of it is on the disk, and goes on when the other one does not come up. `box.json`
 * names the disk of before until then.
 */
export async function restore(
  context: Context,
  watch: ExitWatch,
  spec: DriverSpec,
  snapshotId: string,
  options: DriverOptions,
): Promise<DriverBox> {
  const { id } = spec
  const paths = boxPaths(context.names, id)
  assertSpec(context.model, spec)
  const origin = await originOf(context, snapshotId, spec.size)
  const { status } = await inspectBox(context, id)
  if (status === 'partial') throw notRunning(id, status)
  if (status === 'running') await pause(context, watch, id)
  const read = await readBoxFile(paths)
  if (read.kind !== 'box') throw missing(id)
  const disk = `root-${randomBytes(6).toString('hex')}.qcow2`
  const { paused: _, ...before } = read.box
  const box: BoxFile = { ...before, spec, disk, standsOn: origin.standsOn }
  watch.forget(id)
  try {
    await context.step('restore.clear')
    await clear(context, id)
    await sweepKept(context, id)
    await onHost("made the box's disk", () => diskFrom(context, origin, join(paths.kept, disk), spec.size.diskMib))
    const identity = identityOf(context, spec, box.slot, true)
    const beside = (): Promise<void> => assertWhole(context, origin, spec.size)
    const pid = await bringUp(context, box, { verb: 'restore', from: origin.saved, identity, beside }, options)
    await context.step('restore.mark')
    await onHost('noted that the box is another', () => writeBoxFile(paths, box, { durable: true }))
    watch.watch(id, pid)
  } catch (error) {
    await clear(context, id)
    await rm(join(paths.kept, disk), { force: true })
    if (status === 'running') await resume(context, watch, id)
    throw GibilError.from(error, 'driver_failed')
  }
  await sweepKept(context, id)
  await sweepUnused(context.names)
  await context.step('restore.end')
  return { id, status: 'running', address: addressOfBox(context, box) }
}
