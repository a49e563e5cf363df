import { createHash } from 'node:crypto'
import { chmod, mkdir, readFile, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GibilError, type Size } from '@gibil/contract'
import { parseJson, type RunTool, readIfThere, writeWhole } from '@gibil/host'
import * as z from 'zod'
import type { Context, Machinery } from './context.ts'
import { copySparse, flush } from './copy.ts'
import type { MachinePaths } from './names.ts'
import { cpusOf, stateFd } from './qemu-args.ts'
import type { Monitor } from './qmp.ts'
import { receiveState } from './receive-state.ts'
import { readRegion } from './region.ts'

/** A machine that was stopped and written down, in a directory of its own. */
export interface SavedMachine {
  readonly directory: string
  /** The guest's memory: a sparse file of its size. */
  readonly memory: string
  /** Everything else of the machine, as QEMU's migration writes it. */
  readonly state: string
}

export const savedIn = (directory: string): SavedMachine => ({
  directory,
  memory: join(directory, 'memory'),
  state: join(directory, 'state'),
})

/** Written last: without it nothing was saved. */
const markOf = (saved: SavedMachine): string => join(saved.directory, 'saved.json')

const mark = z.object({
  version: z.literal(1),
  /** The machine that can go on with it. */
  machine: z.string(),
  memory: z.object({ sum: z.string(), data: z.int() }),
  state: z.string(),
})

/** A machine that runs, and by which monitor. */
export interface Running {
  readonly paths: MachinePaths
  readonly pid: number
  readonly monitor: Monitor
}

/**
 * What QEMU must be like to read a state: another version, or another machine, may misread it. The kernel is in the memory, but the disk with its modules
 * is not.
 */
export async function machineKind({ qemu, guest, accelerator }: Machinery, size: Size): Promise<string> {
  const { mtimeMs } = await stat(qemu)
  const kernel = basename(dirname(guest.moduleDisk))
  return [qemu, mtimeMs, accelerator.name, kernel, cpusOf(size), size.memoryMib].join(' ')
}

/**
 * Writes down a machine whose guest stands still (`stop`). It goes on after `cont`, or is ended: its disk is written then. No file is left when it
 * fails. `uid`: the machine's own user, who sends its state.
 */
export async function saveMachine(
  context: Pick<Context, 'hostkit' | 'read'>,
  { paths, pid, monitor }: Running,
  saved: SavedMachine,
  facts: { readonly kind: string; readonly uid: number },
): Promise<void> {
  await forgetSaved(saved)
  context.read.delete(saved.memory)
  await mkdir(saved.directory, { recursive: true, mode: 0o700 })
  try {
    const region = await readRegion(paths)
    await sendState(monitor, paths, saved.state, facts.uid)
    const memory = await context.hostkit.memorySave({ pid, ...region, path: saved.memory })
    const state = sumOf(await readFile(saved.state))
    const text = JSON.stringify({ version: 1, machine: facts.kind, memory, state } satisfies z.infer<typeof mark>)
    await writeWhole(markOf(saved), `${text}\n`, { durable: true })
  } catch (error) {
    await forgetSaved(saved)
    throw error
  }
}

async function sendState(monitor: Monitor, paths: MachinePaths, file: string, uid: number): Promise<void> {
  // The machine's own user passes through to the socket.
  await chmod(paths.run, 0o711)
  const socket = join(paths.run, 'state.sock')
  const receiver = await receiveState(socket, file, uid)
  try {
    await withoutMemory(monitor)
    await monitor.run('migrate', { uri: `unix:${socket}` })
    await migrated(monitor)
    await receiver.done
  } finally {
    await receiver.close()
  }
}

/** Has a machine that waits for it take the state. It stands still until `cont`. */
export async function loadState(monitor: Monitor): Promise<void> {
  await withoutMemory(monitor)
  await monitor.run('migrate-incoming', { uri: `fd:${stateFd}` })
  await migrated(monitor)
}

/**
 * Whether what was saved is whole, and a machine of this kind can go on with it. All of the memory is read; with `once` for the first of many only, until
 * the driver is opened anew. Throws `driver_failed`.
 */
export async function checkSaved(
  context: Pick<Context, 'hostkit' | 'read'>,
  saved: SavedMachine,
  kind: string,
  options: { readonly once: boolean },
): Promise<void> {
  const known = mark.safeParse(parseJson((await readIfThere(markOf(saved))) ?? ''))
  if (!known.success) throw damaged(saved, 'what it says of itself cannot be read')
  if (known.data.machine !== kind) {
    throw new GibilError('driver_failed', 'The saved machine was made by another QEMU, or for another machine.', {
      details: { saved: known.data.machine, now: kind },
    })
  }
  const state = await readFile(saved.state).catch(() => Buffer.alloc(0))
  if (sumOf(state) !== known.data.state) throw damaged(saved, 'the state of its devices is not what was written')
  const { memory: path } = saved
  const reading = (options.once ? context.read.get(path) : undefined) ?? context.hostkit.memoryCheck({ path })
  if (options.once) context.read.set(path, reading)
  const memory = await reading.catch(() => undefined)
  if (memory?.sum !== known.data.memory.sum || memory.data !== known.data.memory.data) {
    throw damaged(saved, 'its memory is not what was written')
  }
}

/** Copies a machine that is saved, its mark last. */
export async function copySaved(run: RunTool, from: SavedMachine, to: SavedMachine): Promise<void> {
  for (const [source, target] of [
    [from.memory, to.memory],
    [from.state, to.state],
    [markOf(from), markOf(to)],
  ] as const) {
    await copySparse(run, source, target)
    await flush(target)
  }
}

/** Takes away what a machine could go on with; what else is in the directory stays. */
export async function forgetSaved(saved: SavedMachine): Promise<void> {
  for (const path of [markOf(saved), saved.state, saved.memory]) await rm(path, { force: true })
}

export const isSaved = async (saved: SavedMachine): Promise<boolean> => (await readIfThere(markOf(saved))) !== undefined

/** What is in a file of its own, as QEMU takes shared memory to be, is left out of the state. */
async function withoutMemory(monitor: Monitor): Promise<void> {
  const capabilities = [{ capability: 'x-ignore-shared', state: true }]
  await monitor.run('migrate-set-capabilities', { capabilities })
}

const migration = z.object({ status: z.string().optional(), 'error-desc': z.string().optional() })

/** Waits until QEMU has written or read the state. */
async function migrated(monitor: Monitor): Promise<void> {
  for (;;) {
    const { status, 'error-desc': reason } = migration.parse(await monitor.run('query-migrate'))
    if (status === 'completed') return
    if (status === 'failed') throw new GibilError('driver_failed', `QEMU could not move the state: ${reason ?? status}`)
    await sleep(1)
  }
}

const sumOf = (state: Uint8Array): string => `sha256:${createHash('sha256').update(state).digest('hex')}`

const damaged = (saved: SavedMachine, what: string): GibilError =>
  new GibilError('driver_failed', `A saved machine is damaged: ${what}.`, { details: { directory: saved.directory } })
