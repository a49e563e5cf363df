import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, rm, stat, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createBoxdClient, type Identity } from '@gibil/boxd-client'
import { GibilError, type Size } from '@gibil/contract'
import type { ResolvedImage } from '@gibil/core'
import { mustRun, slotCount, uidBaseOf, writeWhole } from '@gibil/host'
import * as z from 'zod'
import { clearMachine } from './clear.ts'
import type { Context, Machinery } from './context.ts'
import { dialBoxd, freshness, identify } from './control.ts'
import { evict } from './evict.ts'
import type { Frozen, FrozenStore } from './frozen-machine.ts'
import { startMachine } from './machine.ts'
import { freezingMachine, type Machine } from './names.ts'
import { cpusOf, firstFileFd, qemuArgs } from './qemu-args.ts'
import type { Monitor } from './qmp.ts'
import { receiveState } from './receive-state.ts'
import type { Backing } from './root-disk.ts'

/** Changes when what is frozen is frozen in another way. */
const formatVersion = 4
/** Files of the guest that are read at the first command are in its memory then, and nothing waits to be written in each box. */
const warmUp = ['/bin/bash', '-lc', 'sync']
const warmUpMs = 20_000
/** Taken before it is frozen, only so that what a box's own identity needs has been read already. It leaves nothing that a box's does not replace. */
const anyIdentity: Identity = {
  hostname: 'frozen',
  etc: { hostname: '', hosts: '', 'resolv.conf': '', 'machine-id': '' },
  network: { address: '192.0.2.2', gateway: '192.0.2.1', mac: '02:00:00:00:00:01', mtu: 1500 },
}
/** An index beyond those of boxes: user ids that no box has. */
const freezingSlot = slotCount + 1

const migration = z.object({ status: z.string().optional(), 'error-desc': z.string().optional() })

export function createFrozenStore(use: () => Context): FrozenStore {
  const making = new Map<string, Promise<Frozen>>()
  return {
    async provide(image, size) {
      const context = use()
      const machinery = await context.machinery()
      const key = await keyOf(machinery, image, size)
      const directory = join(context.names.cacheDir, 'frozen', key)
      const base = await context.disks.base(image)
      const there = frozenIn(directory, base)
      if (existsSync(join(directory, 'done'))) {
        const now = new Date()
        await utimes(join(directory, 'done'), now, now)
        return there
      }
      const made = making.get(key) ?? freeze(context, machinery, size, key, base, there)
      making.set(key, made)
      return made.finally(() => making.delete(key))
    },
  }
}

const frozenIn = (directory: string, base: Backing): Frozen => ({
  standsOn: [directory, base.path],
  memory: join(directory, 'memory'),
  state: join(directory, 'state'),
  disk: { path: join(directory, 'root.qcow2'), format: 'qcow2' },
  emptyDisk: join(directory, 'empty.qcow2'),
})

async function keyOf({ qemu, guest, accelerator }: Machinery, image: ResolvedImage, size: Size): Promise<string> {
  const { mtimeMs } = await stat(qemu)
  const facts = [formatVersion, image.digest, guest.id, qemu, mtimeMs, accelerator.name]
  const sized = [cpusOf(size), size.memoryMib, size.diskMib]
  return createHash('sha256')
    .update([...facts, ...sized].join('\n'))
    .digest('hex')
    .slice(0, 16)
}

async function freeze(
  context: Context,
  machinery: Machinery,
  size: Size,
  key: string,
  base: Backing,
  frozen: Frozen,
): Promise<Frozen> {
  const begun = performance.now()
  const directory = dirname(frozen.state)
  const machine = freezingMachine(context.names, key)
  // What a daemon that was killed has left of an earlier try.
  await clearMachine(context, machine)
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true, mode: 0o700 })
  // The machine's own user passes through to the socket that it sends its state to.
  await mkdir(machine.paths.run, { recursive: true, mode: 0o711 })
  try {
    await context.disks.overlay(frozen.disk.path, base, size.diskMib)
    await boot(context, machinery, machine, size, frozen)
    // Pages that hold nothing but zeros need no room.
    await mustRun(context.run, 'fallocate', ['--dig-holes', frozen.memory])
    await context.disks.overlay(frozen.emptyDisk, frozen.disk, size.diskMib)
    await writeWhole(join(directory, 'done'), base.path, { durable: true })
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  } finally {
    await clearMachine(context, machine)
  }
  context.log('info', 'froze a machine', { base: base.path, key, ms: Math.round(performance.now() - begun) })
  await evict(context, frozen.standsOn)
  return frozen
}

async function boot(
  context: Context,
  machinery: Machinery,
  machine: Machine,
  size: Size,
  frozen: Frozen,
): Promise<void> {
  const uid = uidBaseOf(context.network.uidBlock, freezingSlot)
  const memory = { kind: 'shared', path: frozen.memory } as const
  const { pid, monitor } = await startMachine(context, {
    machine,
    size,
    argv: qemuArgs({ ...machinery, size, disk: frozen.disk.path, memory, uid, incoming: false }),
    link: undefined,
  })
  const socket = join(machine.paths.run, 'state.sock')
  const receiver = await receiveState(socket, frozen.state, uid)
  try {
    await identify(context, machine, pid, anyIdentity, undefined)
    await warm(context, machine)
    // Without a network again, as a box may be.
    await identify(context, machine, pid, { ...freshness(), hostname: 'frozen', network: null }, undefined)
    await monitor.run('stop')
    await withoutMemory(monitor)
    await monitor.run('migrate', { uri: `unix:${socket}` })
    await migrated(monitor)
    await receiver.done
    // It closes its disk on the way.
    await monitor.run('quit')
  } finally {
    monitor.close()
    await receiver.close()
  }
  while (await context.cgroups.holds(machine.id, pid)) await sleep(5)
}

/** What is in a file of its own, as shared memory is, is left out of the state. */
async function withoutMemory(monitor: Monitor): Promise<void> {
  const capabilities = [{ capability: 'x-ignore-shared', state: true }]
  await monitor.run('migrate-set-capabilities', { capabilities })
}

/** Waits until QEMU has written or read the state. */
async function migrated(monitor: Monitor): Promise<void> {
  for (;;) {
    const { status, 'error-desc': reason } = migration.parse(await monitor.run('query-migrate'))
    if (status === 'completed') return
    if (status === 'failed') throw new GibilError('driver_failed', `QEMU could not move the state: ${reason ?? status}`)
    await sleep(1)
  }
}

/** Has the guest read what a first command reads. An image without that shell is as good without it. */
async function warm(context: Context, machine: Machine): Promise<void> {
  const boxd = createBoxdClient((signal) => dialBoxd(context, machine, signal))
  try {
    const { id } = await boxd.startJob({ argv: warmUp, user: 'root', cwd: '/', timeoutMs: warmUpMs })
    for (let ended = false; !ended; ) ended = (await boxd.jobOutput(id, { waitMs: warmUpMs })).exit !== null
    await boxd.forgetJob(id)
  } catch (error) {
    if (!GibilError.is(error) || error.code !== 'command_not_found') throw error
  }
}

/** Makes the disk of a box that begins as this machine. */
export async function diskFrom(frozen: Frozen, disk: string): Promise<void> {
  await rm(disk, { force: true })
  await copyFile(frozen.emptyDisk, disk)
}

/** What the machine of a box needs to begin as this one, and `thaw` to let it. */
export async function thawing(
  context: Context,
  frozen: Frozen,
): Promise<{ memory: { kind: 'frozen'; path: string }; files: string[] }> {
  const { path } = await context.hostkit.memoryHold({ path: frozen.memory })
  return { memory: { kind: 'frozen', path }, files: [frozen.state] }
}

export async function thaw(monitor: Monitor): Promise<void> {
  await withoutMemory(monitor)
  await monitor.run('migrate-incoming', { uri: `fd:${firstFileFd}` })
  await migrated(monitor)
  await monitor.run('cont')
}
