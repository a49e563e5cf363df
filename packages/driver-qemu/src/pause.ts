import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import type { DriverOptions } from '@gibil/core'
import { type ExitWatch, onHost } from '@gibil/host'
import { type BoxFile, readBoxFile, writeBoxFile } from './box-file.ts'
import { bringUp } from './bring-up.ts'
import { clear } from './clear.ts'
import type { Context } from './context.ts'
import { freshness, identityOf } from './control.ts'
import { missing, notRunning } from './errors.ts'
import { pausedIn, sweepKept } from './kept.ts'
import { boxPaths } from './names.ts'
import { withMonitor } from './qmp.ts'
import { runState } from './run-state.ts'
import { checkSaved, machineKind, type SavedMachine, savedIn } from './saved.ts'
import { saveBox, whileStill } from './still.ts'
import { addressOfBox, inspectBox, runningPid } from './survey.ts'

/**
 * A paused box has no process and no memory on the host: the machine is in files of its own. `box.json` alone says whether a box is paused, and is replaced
 * whole: as long as it says so, no machine runs on the box's disk, and what is found running is ended; as long as it does not, what stands still
 * goes on. So a pause or a resume that is cut off at any point has happened, or has not.
 */
export async function pause(context: Context, watch: ExitWatch, id: string): Promise<void> {
  const paths = boxPaths(context.names, id)
  const { status } = await inspectBox(context, id)
  if (status === 'paused') {
    // Called again after a crash: its machine may not be ended yet.
    await clear(context, id)
    return
  }
  const read = await readBoxFile(paths)
  if (status !== 'running' || read.kind !== 'box') throw notRunning(id, status)
  const { box } = read
  const directory = `paused-${randomBytes(6).toString('hex')}`
  await context.step('pause.save')
  await whileStill(context, id, async (monitor, pid) => {
    try {
      await saveBox(context, box, { monitor, pid }, savedIn(join(paths.kept, directory)))
      await context.step('pause.mark')
      const paused = { directory, address: addressOfBox(context, box) }
      await onHost('noted that the box is paused', () => writeBoxFile(paths, { ...box, paused }, { durable: true }))
      // Before the machine ends: its end is no news.
      watch.forget(id)
    } catch (error) {
      await rm(join(paths.kept, directory), { recursive: true, force: true })
      throw error
    }
  })
  await clear(context, id, (name) => context.step(`pause.${name}`))
  await sweepKept(context, id)
  await context.step('pause.end')
}

/** Lets a paused box go on. When that fails before its guest runs, it stays paused. */
export async function resume(
  context: Context,
  watch: ExitWatch,
  id: string,
  options: DriverOptions = {},
): Promise<void> {
  const paths = boxPaths(context.names, id)
  const { status } = await inspectBox(context, id)
  if (status === 'running') return
  const read = await readBoxFile(paths)
  if (read.kind !== 'box') throw missing(id)
  const { paused, ...box } = read.box
  const from = pausedIn(paths, read.box)
  if (paused === undefined || from === undefined) throw notRunning(id, status)
  // What a crash has left of its machine.
  await context.step('resume.clear')
  await clear(context, id)
  const address = addressOfBox(context, box)
  // Its clock stood still. The rest is as it was, unless the home has got other addresses since.
  const identity = address === paused.address ? freshness() : identityOf(context, box.spec, box.slot, false)
  let committed = false
  try {
    const beside = async (): Promise<void> => assertWhole(context, box, from)
    const before = async (): Promise<void> => {
      await context.step('resume.mark')
      await onHost('noted that the box runs', () => writeBoxFile(paths, box, { durable: true }))
      committed = true
    }
    const pid = await bringUp(context, box, { verb: 'resume', from, identity, beside, before }, options)
    watch.watch(id, pid)
  } catch (error) {
    if (!committed) await clear(context, id)
    else await watchAnyway(context, watch, id)
    throw GibilError.from(error, 'driver_failed')
  }
  // The machine has it mapped, so the room is free once the machine ends.
  await sweepKept(context, id)
  await context.step('resume.end')
}

/** Its guest ran, so its disk has gone on and there is no way back: what does not answer yet may answer later. */
async function watchAnyway(context: Context, watch: ExitWatch, id: string): Promise<void> {
  const pid = await runningPid(context, id)
  if (pid !== undefined) watch.watch(id, pid)
}

async function assertWhole(context: Context, box: BoxFile, saved: SavedMachine): Promise<void> {
  try {
    await checkSaved(context, saved, await machineKind(await context.machinery(), box.spec.size), { once: false })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new GibilError('driver_failed', `Box ${box.spec.id} cannot go on where it was paused. ${reason}`, {
      hint: 'Run `gibil stop` and `gibil start` on it: its processes are lost, its disk is kept.',
      cause,
    })
  }
}

/** What a daemon that was killed left in the middle of a pause, resume or start. Returns the process of a box that runs. */
export async function mendCutOff(context: Context, id: string): Promise<number | undefined> {
  const pid = await runningPid(context, id)
  const read = await readBoxFile(boxPaths(context.names, id))
  if (pid === undefined || read.kind !== 'box') return pid
  if (read.box.paused !== undefined) {
    await clear(context, id)
    return undefined
  }
  try {
    await withMonitor(boxPaths(context.names, id).monitor, async (monitor) => {
      const status = await runState(monitor)
      // Else it has never had what it is to go on from, and comes to nothing.
      if (['paused', 'postmigrate'].includes(status)) await monitor.run('cont')
      else if (['prelaunch', 'inmigrate'].includes(status)) await clear(context, id)
    })
  } catch (error) {
    context.log('warn', 'a machine did not say how it is', { id, error: String(error) })
  }
  return runningPid(context, id)
}

/** Makes a paused box a stopped one: what it had in memory is lost. */
export async function forgetPaused(context: Context, id: string): Promise<void> {
  const paths = boxPaths(context.names, id)
  const read = await readBoxFile(paths)
  if (read.kind !== 'box' || read.box.paused === undefined) return
  await clear(context, id)
  const { paused: _, ...box } = read.box
  await writeBoxFile(paths, box, { durable: true })
  await sweepKept(context, id)
}
