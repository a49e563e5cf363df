import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createBoxdClient } from '@gibil/boxd-client'
import { GibilError } from '@gibil/contract'
import type { DriverBox, DriverOptions, DriverSpec, FillDisk } from '@gibil/core'
import {
  assertHostRoom,
  type ExitWatch,
  isMadeFor,
  isUp,
  linkName,
  namesIn,
  onHost,
  ownLinks,
  throwIfAborted,
} from '@gibil/host'
import { assertSpec, type BoxFile, diskOf, firstDisk, readBoxFile, writeBoxFile } from './box-file.ts'
import { bringUp, phase } from './bring-up.ts'
import { clear } from './clear.ts'
import { runCloudInit } from './cloud-init.ts'
import type { Context } from './context.ts'
import { dialBoxd, identityOf } from './control.ts'
import { missing } from './errors.ts'
import { filled, type Made } from './fill.ts'
import { assertWhole, diskFrom, originOf } from './fork.ts'
import type { Frozen, Origin } from './frozen-machine.ts'
import { boxMachine, boxPaths } from './names.ts'
import { forgetPaused, resume } from './pause.ts'
import { madeSnapshot } from './snapshot-file.ts'
import { sweepUnused } from './stands-on.ts'
import { addressOfBox, inspectBox, runningPid } from './survey.ts'

/** The verbs that change a box, each called by one caller at a time for one box. */

export async function create(
  context: Context,
  watch: ExitWatch,
  spec: DriverSpec,
  options: DriverOptions,
  fill?: FillDisk,
): Promise<DriverBox> {
  const { names, slots } = context
  const paths = boxPaths(names, spec.id)
  assertSpec(context.model, spec)
  throwIfAborted(options.signal)
  const [before, links] = await Promise.all([readBoxFile(paths), ownLinks(names), assertHostRoom(names.boxesDir)])
  if (before.kind !== 'missing' || existsSync(paths.run)) {
    // Called again after a crash: what is whole is kept, what is not is made anew.
    const known = fill === undefined && before.kind === 'box' && isMadeFor(before.box.spec, spec)
    if (known && (await inspectBox(context, spec.id)).status !== 'partial') return start(context, watch, spec, options)
    await destroy(context, watch, spec.id, async () => undefined)
  }
  const slot = slots.take(
    spec.id,
    (free) => !links.includes(linkName(names, 'internet', free)) && !links.includes(linkName(names, 'lan', free)),
  )
  try {
    const { box, pid } = await (fill
      ? filled(context, spec, slot, fill, options)
      : spec.from === undefined
        ? begun(context, spec, slot, options)
        : made(context, spec, slot, await originOf(context, spec.from, spec.size), options))
    // A box that goes on from a snapshot, or from what another was, has had its first boot.
    if (spec.from === undefined && fill === undefined) {
      await phase(options, 'cloud-init', 'did what was given to cloud-init', () =>
        runCloudInit(context, boxMachine(names, spec.id), spec, options),
      )
    }
    await context.step('create.made')
    await onHost('noted that the box is made', () => writeBoxFile(paths, { ...box, phase: 'made' }))
    watch.watch(spec.id, pid)
    await context.step('create.end')
    throwIfAborted(options.signal)
    return { id: spec.id, status: 'running', address: addressOfBox(context, box) }
  } catch (error) {
    try {
      await destroy(context, watch, spec.id, async () => undefined)
    } catch (undo) {
      context.log('warn', 'the remains of a failed create could not be removed', { id: spec.id, error: String(undo) })
    }
    throw GibilError.from(error, 'driver_failed')
  }
}

/** A copy of a frozen machine, or where there is none that goes on, one that boots. */
async function begun(context: Context, spec: DriverSpec, slot: number, options: DriverOptions): Promise<Made> {
  await tellOfEmulation(context, options)
  // An image without a name is of one box, and no other would begin as a copy of its machine.
  const named = spec.image.name !== spec.image.digest
  const frozen = named ? await frozenFor(context, spec, options) : undefined
  if (frozen === undefined) return made(context, spec, slot, undefined, options)
  try {
    return await made(context, spec, slot, frozen, options)
  } catch (error) {
    throwIfAborted(options.signal)
    if (!GibilError.is(error) || error.code !== 'driver_failed') throw error
    context.log('warn', 'a frozen machine could not go on, so the box boots', { id: spec.id, error: String(error) })
    await clear(context, spec.id)
    return made(context, spec, slot, undefined, options)
  }
}

/** A server that is slow for no reason that can be seen is taken for a broken one. */
async function tellOfEmulation({ model, machinery }: Context, { onNotice }: DriverOptions): Promise<void> {
  if (!model.hasInit || onNotice === undefined || (await machinery()).accelerator.name === 'kvm') return
  onNotice('No KVM that works on this host: the processor is emulated, and code runs several times slower.')
}

/** The box with its disk, running. */
async function made(
  context: Context,
  spec: DriverSpec,
  slot: number,
  origin: Origin | undefined,
  options: DriverOptions,
): Promise<Made> {
  const paths = boxPaths(context.names, spec.id)
  const base = origin ? undefined : await context.disks.base(spec.image)
  const standsOn = origin?.standsOn ?? (base ? [base.path] : [])
  const box: BoxFile = { version: 1, phase: 'creating', slot, standsOn, disk: firstDisk, spec }
  await context.step('create.box-file')
  await onHost('noted the box', async () => {
    await mkdir(paths.kept, { recursive: true, mode: 0o700 })
    await writeBoxFile(paths, box)
  })
  // From here on it is not swept. It may have been removed just before.
  if (spec.from !== undefined) await madeSnapshot(context.names, spec.from)
  await context.step('create.disk')
  await phase(options, 'disk', "made the box's disk", async () => {
    if (origin) await diskFrom(context, origin, diskOf(paths, box), spec.size.diskMib)
    if (base) await context.disks.overlay(diskOf(paths, box), base, spec.size.diskMib)
  })
  const identity = identityOf(context, spec, slot, true)
  // A frozen machine was looked at when it was provided.
  const beside = origin && spec.from !== undefined ? () => assertWhole(context, origin, spec.size) : undefined
  return { box, pid: await bringUp(context, box, { verb: 'create', from: origin?.saved, identity, beside }, options) }
}

/** Without it the box boots, which takes longer and is as good. */
async function frozenFor(context: Context, spec: DriverSpec, options: DriverOptions): Promise<Frozen | undefined> {
  try {
    return await phase(options, 'frozen', 'froze a machine', () =>
      context.frozen.provide(spec.image, spec.size, options),
    )
  } catch (error) {
    throwIfAborted(options.signal)
    if (GibilError.is(error) && ['disk_full', 'invalid_size', 'missing_tool', 'host_unfit'].includes(error.code))
      throw error
    context.log('warn', 'no machine could be frozen, so the box boots', { id: spec.id, error: String(error) })
    return undefined
  }
}

export async function start(
  context: Context,
  watch: ExitWatch,
  spec: DriverSpec,
  options: DriverOptions,
): Promise<DriverBox> {
  const paths = boxPaths(context.names, spec.id)
  assertSpec(context.model, spec)
  const read = await readBoxFile(paths)
  if (read.kind !== 'box') throw missing(spec.id)
  const found = await inspectBox(context, spec.id)
  if (found.status === 'running') return found
  if (found.status === 'paused') {
    await resume(context, watch, spec.id, options)
    return { ...found, status: 'running' }
  }
  if (found.status === 'partial') {
    throw new GibilError('wrong_state', `Box ${spec.id} was never finished, so it cannot be started.`, {
      hint: 'Destroy it and create it again.',
    })
  }
  watch.forget(spec.id)
  await context.step('start.clear')
  await clear(context, spec.id)
  // The disk holds what differs from the image it was made on, so the image and the disk's size stay those of the create.
  const kept = read.box.spec
  const box: BoxFile = {
    ...read.box,
    spec: { ...spec, image: kept.image, size: { ...spec.size, diskMib: kept.size.diskMib } },
  }
  try {
    await writeBoxFile(paths, box)
    // Its own disk has gone on since, so it boots.
    const identity = identityOf(context, box.spec, box.slot, false)
    const pid = await bringUp(context, box, { verb: 'start', identity }, options)
    watch.watch(spec.id, pid)
    await context.step('start.end')
    return { id: spec.id, status: 'running', address: addressOfBox(context, box) }
  } catch (error) {
    watch.forget(spec.id)
    await clear(context, spec.id).catch((undo: unknown) => {
      context.log('warn', 'the remains of a failed start could not be removed', { id: spec.id, error: String(undo) })
    })
    throw GibilError.from(error, 'driver_failed')
  }
}

export async function stop(context: Context, watch: ExitWatch, id: string, graceMs: number): Promise<void> {
  const read = await readBoxFile(boxPaths(context.names, id))
  if (read.kind === 'missing') return
  await context.step('stop.shutdown')
  if (graceMs > 0) await endGently(context, watch, id, graceMs)
  watch.forget(id)
  await forgetPaused(context, id)
  await clear(context, id, (name) => context.step(`stop.${name}`))
  await context.step('stop.end')
}

/** boxd ends the processes, writes the disk and powers off. A box that was about to do so anyway is waited for. */
async function endGently(context: Context, watch: ExitWatch, id: string, graceMs: number): Promise<void> {
  if ((await inspectBox(context, id)).status === 'paused') {
    await resume(context, watch, id).catch((error: unknown) => {
      context.log('warn', 'a paused box could not go on, so it lost its memory', { id, error: String(error) })
    })
  }
  watch.forget(id)
  const pid = await runningPid(context, id)
  if (pid === undefined) return
  const boxd = createBoxdClient((signal) => dialBoxd(context, boxMachine(context.names, id), signal), {
    answerMs: Math.min(graceMs, 2000),
  })
  // One that does not answer, since it is ending or hangs, is ended below all the same.
  await boxd.shutdown(graceMs).catch(() => undefined)
  const deadline = performance.now() + graceMs + context.model.powerOffMs
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
  watch.forget(id)
  await clear(context, id, (name) => step(`destroy.${name}`))
  await step('destroy.disk')
  await onHost("removed the box's disk", () => removeAllBut(paths.kept, 'box.json'))
  await step('destroy.box-file')
  // The file goes last: as long as anything is there, so is what the box was.
  await onHost('forgot the box', async () => {
    await rm(paths.boxFile, { force: true })
    await rm(paths.kept, { recursive: true, force: true })
  })
  if (read.kind === 'box') await context.network.setEgress(read.box.slot, undefined)
  context.slots.free(id)
  context.consoles.forget(id)
  await sweepUnused(context.names)
  await step('destroy.end')
}

async function removeAllBut(directory: string, spared: string): Promise<void> {
  for (const name of await namesIn(directory)) {
    if (name !== spared) await rm(join(directory, name), { recursive: true, force: true })
  }
}
