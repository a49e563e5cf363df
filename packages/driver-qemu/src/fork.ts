import { copyFile, rm } from 'node:fs/promises'
import { formatBytes, GibilError, type Size } from '@gibil/contract'
import type { Context } from './context.ts'
import type { Origin } from './frozen-machine.ts'
import { cpusOf } from './qemu-args.ts'
import { checkSaved, machineKind } from './saved.ts'
import { madeSnapshot, snapshotPaths } from './snapshot-file.ts'

/** A snapshot as what a box of that size begins as. Throws `invalid_size` where it cannot: a machine that was saved is as large as it is. */
export async function originOf(context: Context, snapshotId: string, size: Size): Promise<Origin> {
  const { names } = context
  const file = await madeSnapshot(names, snapshotId)
  const { directory, disk, emptyDisk, saved } = snapshotPaths(names, snapshotId)
  const whole = file.kind === 'disk+memory'
  assertFits(file.size, size, whole)
  return {
    saved: whole ? saved : undefined,
    disk: { path: disk, format: 'qcow2' },
    standsOn: [directory, ...file.standsOn],
    emptyDisk,
    diskMib: file.size.diskMib,
  }
}

function assertFits(has: Size, asked: Size, whole: boolean): void {
  const fits = whole
    ? cpusOf(asked) === cpusOf(has) && asked.memoryMib === has.memoryMib && asked.diskMib === has.diskMib
    : asked.diskMib >= has.diskMib
  if (fits) return
  const [memory, disk] = [formatBytes(has.memoryMib * 1024 ** 2), formatBytes(has.diskMib * 1024 ** 2)]
  throw new GibilError(
    'invalid_size',
    whole
      ? `The snapshot holds a machine of ${has.cpu} CPU, ${memory} of memory and ${disk} of disk, and can only go on as that.`
      : `The snapshot needs a disk of ${disk} or more.`,
    { hint: 'Leave the size out, or give that one.' },
  )
}

/** Makes the disk of a box that begins so. */
export async function diskFrom(context: Context, origin: Origin, disk: string, diskMib: number): Promise<void> {
  await rm(disk, { force: true })
  if (diskMib === origin.diskMib) await copyFile(origin.emptyDisk, disk)
  else await context.disks.overlay(disk, origin.disk, diskMib)
}

/** Reads what a machine is to go on from, beside its start. */
export async function assertWhole(context: Context, { saved }: Origin, size: Size): Promise<void> {
  if (saved) await checkSaved(context, saved, await machineKind(await context.machinery(), size), { once: true })
}
