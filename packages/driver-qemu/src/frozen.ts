import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createBoxdClient, type Identity } from '@gibil/boxd-client'
import { GibilError, type Size } from '@gibil/contract'
import type { DriverOptions, ResolvedImage } from '@gibil/core'
import { namesIn, slotCount, uidBaseOf, writeWhole } from '@gibil/host'
import { clearMachine } from './clear.ts'
import type { Context, Machinery } from './context.ts'
import { dialBoxd, freshness, identify } from './control.ts'
import { evict } from './evict.ts'
import type { Frozen, FrozenStore } from './frozen-machine.ts'
import { startMachine } from './machine.ts'
import { freezingMachine, type Machine } from './names.ts'
import { cpusOf, qemuArgs } from './qemu-args.ts'
import type { Backing } from './root-disk.ts'
import { checkSaved, forgetSaved, isSaved, machineKind, savedIn, saveMachine } from './saved.ts'
import { awaitStartUp, boxdOf, runIn } from './start-up.ts'

/** Changes when what is frozen is frozen in another way. */
const formatVersion = 7
/** Files of the guest that are read at the first command are in its memory then, and nothing waits to be written in each box. */
const warmUp = ['/bin/bash', '-lc', 'sync']
const warmUpMs = 20_000
/** Taken before it is frozen, only so that what a box's own identity needs has been read already. It leaves nothing that a box's does not replace. */
const anyIdentity: Identity = {
  hostname: 'frozen',
  etc: { hostname: '', hosts: '', 'resolv.conf': '', 'machine-id': `${'f'.repeat(32)}\n` },
  network: { address: '192.0.2.2', gateway: '192.0.2.1', mac: '02:00:00:00:00:01', mtu: 1500 },
}
/** An index beyond those of boxes: user ids that no box has. */
const freezingSlot = slotCount + 1

export function createFrozenStore(use: () => Context): FrozenStore {
  const making = new Map<string, Promise<Frozen>>()
  return {
    async provide(image, size, { onLine } = {}) {
      const context = use()
      const machinery = await context.machinery()
      const key = await keyOf(machinery, image, size)
      const base = await context.disks.base(image)
      const provided = making.get(key) ?? provide(context, machinery, size, key, base, onLine)
      making.set(key, provided)
      return provided.finally(() => making.delete(key))
    },
  }

  /** One that is damaged stays for the boxes whose disks stand on it, and another takes its place. */
  async function provide(
    context: Context,
    machinery: Machinery,
    size: Size,
    key: string,
    base: Backing,
    onLine: DriverOptions['onLine'],
  ): Promise<Frozen> {
    for (let generation = 0; ; generation += 1) {
      const name = generation === 0 ? key : `${key}-${generation}`
      const frozen = frozenIn(join(context.names.cacheDir, 'frozen', name), base, size.diskMib)
      const { directory } = frozen.saved
      if (!existsSync(join(directory, 'done'))) {
        onLine?.('the first box of this image and size boots, which takes a while; those after it are copies')
        return freeze(context, machinery, size, name, base, frozen)
      }
      if (!(await isSaved(frozen.saved))) continue
      try {
        await checkSaved(context, frozen.saved, await machineKind(machinery, size), { once: true })
        const now = new Date()
        await utimes(join(directory, 'done'), now, now)
        return frozen
      } catch (error) {
        context.log('warn', 'a frozen machine is damaged, so another one is made', { name, error: String(error) })
        await forgetSaved(frozen.saved)
      }
    }
  }
}

/** The directories of those that are whole, as far as they say. */
export async function frozenNames(cacheDir: string): Promise<string[]> {
  const directory = join(cacheDir, 'frozen')
  return (await namesIn(directory)).filter((name) => existsSync(join(directory, name, 'done')))
}

const frozenIn = (directory: string, base: Backing, diskMib: number): Frozen => ({
  diskMib,
  standsOn: [directory, base.path],
  saved: savedIn(directory),
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
  const { directory } = frozen.saved
  const machine = freezingMachine(context.names, key)
  // What a daemon that was killed has left of an earlier try.
  await clearMachine(context, machine)
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true, mode: 0o700 })
  // So that its user may pass through to the socket that it sends its state to.
  await mkdir(machine.paths.run, { recursive: true, mode: 0o711 })
  try {
    await context.disks.overlay(frozen.disk.path, base, size.diskMib)
    await boot(context, machinery, machine, size, frozen)
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
  const { paths } = machine
  const { pid, monitor } = await startMachine(context, {
    machine,
    size,
    argv: qemuArgs({
      ...machinery,
      model: context.model,
      size,
      disk: frozen.disk.path,
      console: machine.paths.console,
      uid,
      incoming: false,
    }),
    link: undefined,
  })
  try {
    await monitor.run('cont')
    await identify(context, machine, pid, anyIdentity, undefined)
    if (context.model.hasInit) await awaitStartUp(context, machine, {})
    await warm(context, machine)
    if (context.model.hasInit) await forgetBoot(context, machine)
    // Without a network again, as a box may be.
    await identify(context, machine, pid, { ...freshness(), hostname: 'frozen', network: null }, undefined)
    await monitor.run('stop')
    const kind = await machineKind(machinery, size)
    await saveMachine(context, { paths, pid, monitor }, frozen.saved, { kind, uid })
    // It closes its disk on the way.
    await monitor.run('quit')
  } finally {
    monitor.close()
  }
  while (await context.cgroups.holds(machine.id, pid)) await sleep(5)
}

/** What its start-up has left of itself on the disk. The journal goes on in a file without a name until the copy has its own. */
async function forgetBoot(context: Context, machine: Machine): Promise<void> {
  const line = 'rm -rf /var/log/journal/* /var/lib/systemd/random-seed /etc/ssh/ssh_host_*; sync'
  await runIn(boxdOf(context, machine), ['/bin/sh', '-c', line], warmUpMs)
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
