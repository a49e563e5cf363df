import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { GibilError } from '@gibil/contract'
import type { DriverBox, DriverOptions, DriverSpec } from '@gibil/core'
import {
  assertHostRoom,
  type ExitWatch,
  errnoOf,
  isMadeFor,
  isUp,
  linkExists,
  linkName,
  onHost,
  readPid,
  throwIfAborted,
  uidBaseOf,
} from '@gibil/host'
import { assertSpec, type BoxFile, readBoxFile, writeBoxFile } from './box-file.ts'
import { boxPaths } from './box-paths.ts'
import { clear } from './clear.ts'
import type { Context } from './context.ts'
import { addressOfBox, forge } from './forge.ts'
import { undoRestore } from './restore.ts'
import { snapshotFor } from './snapshot-file.ts'
import { inspectBox } from './survey.ts'

/** The verbs that change a box, each called by one caller at a time for one box. */

export async function create(
  context: Context,
  watch: ExitWatch,
  spec: DriverSpec,
  options: DriverOptions,
): Promise<DriverBox> {
  const { names, slots } = context
  const paths = boxPaths(names, spec.id)
  assertSpec(spec)
  throwIfAborted(options.signal)
  const [before] = await Promise.all([readBoxFile(paths), assertHostRoom(names.home)])
  if (before.kind !== 'missing' || existsSync(paths.run)) {
    // Called again after a crash: what is whole is kept, what is not is made anew.
    const known = before.kind === 'box' && isMadeFor(before.box.spec, spec)
    if (known && (await inspectBox(context, spec.id)).status !== 'partial') return start(context, watch, spec, options)
    await destroy(context, watch, spec.id, async () => undefined)
  }

  const from = spec.from === undefined ? undefined : snapshotFor(names, spec.from, spec)
  const slot = slots.take(
    spec.id,
    (free) => !linkExists(linkName(names, 'internet', free)) && !linkExists(linkName(names, 'lan', free)),
  )
  const box: BoxFile = {
    version: 1,
    phase: 'creating',
    slot,
    uidBase: uidBaseOf(context.network.uidBlock, slot),
    ...(from === undefined ? {} : { diskUidBase: from.uidBase }),
    address: null,
    spec,
  }
  const address = addressOfBox(context, box)
  try {
    await context.step('create.box-file')
    await onHost('noted the box', async () => {
      await mkdir(paths.kept, { recursive: true, mode: 0o700 })
      await writeBoxFile(paths, box, { durable: false })
    })
    const pid = await forge(context, 'create', box, options)
    await context.step('create.made')
    await onHost('noted that the box is made', () =>
      writeBoxFile(paths, { ...box, phase: 'made', address }, { durable: false }),
    )
    watch.watch(spec.id, pid)
    await context.step('create.end')
    throwIfAborted(options.signal)
    return { id: spec.id, status: 'running', address }
  } catch (error) {
    try {
      await destroy(context, watch, spec.id, async () => undefined)
    } catch (undo) {
      context.log('warn', 'the remains of a failed create could not be removed', { id: spec.id, error: String(undo) })
    }
    throw GibilError.from(error, 'driver_failed')
  }
}

export async function start(
  context: Context,
  watch: ExitWatch,
  spec: DriverSpec,
  options: DriverOptions,
): Promise<DriverBox> {
  const paths = boxPaths(context.names, spec.id)
  assertSpec(spec)
  const read = await readBoxFile(paths)
  if (read.kind !== 'box') throw missing(spec.id)
  const found = await inspectBox(context, spec.id)
  if (found.status === 'running') return found
  if (found.status === 'paused') {
    await context.cgroups.thaw(spec.id)
    return { ...found, status: 'running' }
  }
  if (found.status === 'partial') {
    throw new GibilError('wrong_state', `Box ${spec.id} was never finished, so it cannot be started.`, {
      hint: 'Destroy it and create it again.',
    })
  }
  watch.forget(spec.id)
  await context.step('start.clear')
  await clear(context, spec.id, read.box)
  const before = await undoRestore(paths, read.box)
  // The disk holds what differs from the layers it was made on, so the image and the disk's size stay those of the create.
  const kept = before.spec
  const box: BoxFile = {
    ...before,
    spec: { ...spec, image: kept.image, size: { ...spec.size, diskMib: kept.size.diskMib } },
  }
  const address = addressOfBox(context, box)
  try {
    await writeBoxFile(paths, box, { durable: false })
    const pid = await forge(context, 'start', box, options)
    await context.step('start.made')
    if (address !== box.address) await writeBoxFile(paths, { ...box, address }, { durable: false })
    watch.watch(spec.id, pid)
    await context.step('start.end')
    return { id: spec.id, status: 'running', address }
  } catch (error) {
    try {
      watch.forget(spec.id)
      await clear(context, spec.id, box)
    } catch (undo) {
      context.log('warn', 'the remains of a failed start could not be removed', { id: spec.id, error: String(undo) })
    }
    throw GibilError.from(error, 'driver_failed')
  }
}

export async function stop(context: Context, watch: ExitWatch, id: string, graceMs: number): Promise<void> {
  const paths = boxPaths(context.names, id)
  const read = await readBoxFile(paths)
  if (read.kind === 'missing') return
  watch.forget(id)
  await context.step('stop.term')
  const pid = await readPid(paths.pidFile)
  if (pid !== undefined && graceMs > 0 && (await context.cgroups.holds(id, pid))) {
    if (await context.cgroups.isFrozen(id)) await context.cgroups.thaw(id)
    await endGently(pid, graceMs)
  }
  await clear(context, id, read.kind === 'box' ? read.box : undefined, {
    step: (name) => context.step(`stop.${name}`),
  })
  await context.step('stop.end')
}

async function endGently(pid: number, graceMs: number): Promise<void> {
  try {
    process.kill(pid, 'SIGTERM')
  } catch (error) {
    if (errnoOf(error) === 'ESRCH') return
    throw error
  }
  const deadline = performance.now() + graceMs
  while ((await isUp(pid)) && performance.now() < deadline) await sleep(5)
}

export async function destroy(
  context: Context,
  watch: ExitWatch,
  id: string,
  step: Context['step'] = context.step,
): Promise<void> {
  const paths = boxPaths(context.names, id)
  const read = await readBoxFile(paths)
  const box = read.kind === 'box' ? read.box : undefined
  watch.forget(id)
  await clear(context, id, box, { step: (name) => step(`destroy.${name}`), forGood: true })
  await step('destroy.disk')
  await onHost("removed the box's disk", () => rm(paths.diskImage, { force: true }))
  await step('destroy.box-file')
  // The file goes last: as long as anything is there, so is what the box was.
  await onHost('forgot the box', async () => {
    await rm(paths.boxFile, { force: true })
    await rm(paths.kept, { recursive: true, force: true })
  })
  if (box) await context.network.setEgress(box.slot, undefined)
  context.slots.free(id)
  await step('destroy.end')
}

export async function pause(context: Context, id: string): Promise<void> {
  const { status } = await inspectBox(context, id)
  if (status === 'paused') return
  if (status !== 'running') throw notRunning(id, status)
  await onHost('paused the box', () => context.cgroups.freeze(id))
}

export async function resume(context: Context, id: string): Promise<void> {
  const { status } = await inspectBox(context, id)
  if (status === 'running') return
  if (status !== 'paused') throw notRunning(id, status)
  await onHost('resumed the box', () => context.cgroups.thaw(id))
}

function missing(id: string): GibilError {
  return new GibilError('box_not_found', `The host has no box ${id}, or what it kept of it is damaged.`)
}

function notRunning(id: string, status: string): GibilError {
  return new GibilError('wrong_state', `Box ${id} does not run (it is ${status}).`)
}
