import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type BoxdClient, createBoxdClient, type ServedDisk } from '@gibil/boxd-client'
import { GibilError } from '@gibil/contract'
import type { DriverMount, DriverOptions } from '@gibil/core'
import { hostPath, lastLine, locate, namesIn, readIfThere, readPid, throwIfAborted, uidBaseOf } from '@gibil/host'
import { readBoxFile } from './box-file.ts'
import type { Context } from './context.ts'
import { dialBoxd } from './control.ts'
import { diskChain, imageOptions } from './disk-chain.ts'
import { boxMachine, boxPaths } from './names.ts'
import { readSnapshot, snapshotPaths } from './snapshot-file.ts'
import { inspectBox, runningPid } from './survey.ts'

/**
 * A machine of QEMU's kind `microvm` takes no disk while it runs, so its kernel reads a snapshot over the network: qemu-nbd serves it by the control link,
 * and boxd mounts it. The server is a process of the box (its cgroups, its network namespace) and ends with its one client or with the box.
 */

const server = 'qemu-nbd'
/** Ports of the control link, in a namespace where nobody else has any. */
const firstPort = 1024
/** boxd/internal/guest/nbd.go: devices of the guest. */
const mostMounts = 4
/** Where `hostkit serve-disk` leaves the scratch file, and then the others. */
const firstFileFd = 4
const startMs = 20_000
/** A guest under emulation that repairs a file system first. */
const mountMs = 120_000

const toMount = ({ path, label }: ServedDisk): DriverMount => ({ path, snapshotId: label })

export async function mountSnapshot(
  context: Context,
  id: string,
  snapshotId: string,
  path: string,
  options: DriverOptions,
): Promise<DriverMount> {
  const { machine, boxd } = await running(context, id, options)
  const saved = snapshotPaths(context.names, snapshotId)
  const file = await readSnapshot(saved)
  if (file === undefined || file === 'damaged' || file.phase !== 'made') {
    throw new GibilError('snapshot_not_found', `The host keeps no snapshot ${snapshotId}, or it is damaged.`)
  }
  const mounted = await boxd.listDisks()
  const there = mounted.find((one) => one.path === path)
  if (there?.label === snapshotId) return toMount(there)
  await endServers(context, id, new Set(mounted.map(({ port }) => port)))
  const port = Array.from({ length: mostMounts }, (_, index) => firstPort + index).find(
    (free) => !mounted.some((one) => one.port === free),
  )
  if (port === undefined) {
    throw new GibilError('limit_reached', `The box has ${mostMounts} snapshots mounted, as many as it can.`, {
      hint: 'Unmount one first: `gibil unmount <box> <path>`.',
    })
  }
  throwIfAborted(options.signal)
  await serve(context, id, machine, port, { disk: saved.disk, diskMib: file.size.diskMib }, options)
  try {
    await boxd.mountDisk({ path, port, label: snapshotId })
    const made = (await boxd.listDisks()).find((one) => one.port === port)
    if (!made) throw new GibilError('driver_failed', `The snapshot was unmounted as soon as it was there.`)
    return toMount(made)
  } catch (error) {
    const said = await readIfThere(logOf(context, id))
    context.log('warn', 'a snapshot could not be mounted', { id, snapshotId, said: said?.slice(-2048) ?? '' })
    await endServer(context, id, port)
    throw error
  }
}

export async function unmountSnapshot(context: Context, id: string, path: string): Promise<void> {
  const { boxd } = await running(context, id, {})
  await boxd.unmountDisk(path)
  await endServers(context, id, new Set((await boxd.listDisks()).map(({ port }) => port)))
}

/** Before a box stands still: whatever its machine goes on as, nobody may serve it then. What uses a snapshot gets EIO. */
export async function unmountAll(context: Context, id: string): Promise<void> {
  if ((await serverPorts(context, id)).length === 0 || (await inspectBox(context, id)).status !== 'running') return
  // One that does not answer loses them all the same.
  await boxdOf(context, id, {})
    .unmountDisks()
    .catch(() => undefined)
  await endServers(context, id, new Set())
}

export async function listMounts(context: Context, id: string): Promise<DriverMount[]> {
  if ((await inspectBox(context, id)).status !== 'running') return []
  return (await boxdOf(context, id, {}).listDisks()).map(toMount)
}

async function running(
  context: Context,
  id: string,
  options: DriverOptions,
): Promise<{ machine: number; boxd: BoxdClient }> {
  const { status } = await inspectBox(context, id)
  const machine = await runningPid(context, id)
  if (status !== 'running' || machine === undefined) {
    throw new GibilError('wrong_state', `Box ${id} does not run (it is ${status}).`)
  }
  return { machine, boxd: boxdOf(context, id, options) }
}

const boxdOf = (context: Context, id: string, { signal }: DriverOptions): BoxdClient =>
  createBoxdClient((ended) => dialBoxd(context, boxMachine(context.names, id), ended), { signal, answerMs: mountMs })

async function serve(
  context: Context,
  id: string,
  machine: number,
  port: number,
  { disk, diskMib }: { readonly disk: string; readonly diskMib: number },
  options: DriverOptions,
): Promise<void> {
  const { names, network } = context
  const program = locate(server)
  if (program === undefined) {
    throw new GibilError('missing_tool', `To mount snapshots in microvms needs ${server}, which is not installed.`, {
      hint: 'Run `./gibil up --shape microvm` as root, or: apt-get install qemu-utils.',
    })
  }
  const read = await readBoxFile(boxPaths(names, id))
  if (read.kind !== 'box') throw new GibilError('driver_failed', `What is kept of box ${id} is damaged.`)
  const chain = await diskChain(context, disk)
  // A file system that was in use is repaired when it is mounted: what that writes goes to a file that soon has no name, and to no snapshot.
  const scratch = { path: join(boxPaths(names, id).kept, `mount-${port}.qcow2`), format: 'qcow2' } as const
  await context.disks.overlay(scratch.path, { path: disk, format: 'qcow2' }, diskMib)
  const spec = {
    argv: [program, '--image-opts', imageOptions([scratch, ...chain], firstFileFd)],
    cgroups: context.machineCgroups.of(id),
    machine,
    port,
    // Beside that of the box's machine, which is not to be its prey.
    uid: uidBaseOf(network.uidBlock, read.box.slot) + 1,
    scratch: scratch.path,
    files: chain.map(({ path }) => path),
  }
  const { exitCode, stderr } = await context.hostkit.runStart(
    {
      argv: [context.hostkitBinary, 'serve-disk', JSON.stringify(spec), pidFileOf(context, id, port)],
      env: { PATH: hostPath },
      cwd: '/',
      log: logOf(context, id),
      timeoutMs: startMs,
    },
    { signal: options.signal },
  )
  if (exitCode === 0) return
  await rm(scratch.path, { force: true })
  throw new GibilError('driver_failed', `The snapshot could not be served to box ${id}: ${lastLine(stderr)}`, {
    details: { exitCode, stderr },
  })
}

const logOf = (context: Context, id: string): string => join(boxPaths(context.names, id).run, 'disks.log')
const pidFileOf = (context: Context, id: string, port: number): string =>
  join(boxPaths(context.names, id).run, `disk-${port}.pid`)

/** Ends those that nobody is served by: what a daemon that was killed had begun, and what boxd has let go of. */
async function endServers(context: Context, id: string, used: ReadonlySet<number>): Promise<void> {
  for (const port of await serverPorts(context, id)) if (!used.has(port)) await endServer(context, id, port)
}

async function serverPorts(context: Context, id: string): Promise<number[]> {
  const names = await namesIn(boxPaths(context.names, id).run)
  return names.flatMap((name) => /^disk-(\d+)\.pid$/.exec(name)?.[1] ?? []).map(Number)
}

async function endServer(context: Context, id: string, port: number): Promise<void> {
  const file = pidFileOf(context, id, port)
  const pid = await readPid(file)
  if (pid !== undefined && (await context.cgroups.holds(id, pid))) process.kill(pid, 'SIGKILL')
  await rm(file, { force: true })
}
