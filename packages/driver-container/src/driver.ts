import { existsSync } from 'node:fs'
import { chmod, mkdir, rm, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import type { Driver, OptionalVerb } from '@gibil/core'
import {
  assertBoxId,
  createCgroups,
  createExitWatch,
  createKeyedLock,
  createSlots,
  dialShared,
  dialSocket,
  type ExitWatch,
  errnoOf,
  type HomeNames,
  homeNames,
  isUp,
  type Log,
  openNetwork,
  ownLinks,
  parseCgroupLayout,
  type RunTool,
  readIfThere,
  readPid,
  runTool,
  slotOfLink,
} from '@gibil/host'
import type { HostKit } from '@gibil/hostkit-client'
import { adapt } from './adapt.ts'
import { readBoxFile } from './box-file.ts'
import { boxPaths } from './box-paths.ts'
import { type BuildNetworks, createBuildNetworks, sweepBuildNetworks } from './build-network.ts'
import type { Context } from './context.ts'
import { egressOfBoxes, setEgress } from './egress.ts'
import { chooseGvisor } from './gvisor.ts'
import * as mounts from './mounts.ts'
import { restore } from './restore.ts'
import { chooseRuntime, knownRuntimes } from './runtime.ts'
import * as snapshots from './snapshots.ts'
import type { Step } from './steps.ts'
import { allIds, inspectBox } from './survey.ts'
import { createDiskTemplates } from './templates.ts'
import * as verbs from './verbs.ts'

export interface ContainerDriverOptions {
  /** The daemon's home: all names on the host derive from this path. */
  readonly home: string
  /** Path of the boxd binary for this host's architecture, readable by everybody. */
  readonly boxdBinary: string
  readonly hostkit: HostKit
  readonly log: Log
  /** An OCI runtime to use instead of the one that is found to work: a name or a path. */
  readonly runtime?: string | undefined
  /** A runsc to use for boxes in gVisor instead of the one that is found: a name or a path. */
  readonly gvisor?: string | undefined
  /** IPv4 address of the resolver for boxes, instead of the host's. */
  readonly resolver?: string | undefined
  /** Processes and threads that a box may have; by its CPUs if absent. */
  readonly pidsLimit?: number | undefined
  readonly step?: Step | undefined
}

interface Opened {
  readonly context: Context
  readonly watch: ExitWatch
}

/** The driver, and networks for image builds under its firewall. */
export interface ContainerDriver extends Driver {
  /** Usable while the driver is open. */
  readonly buildNetworks: BuildNetworks
}

/** Boxes of the shape `container` on this machine. */
export function createContainerDriver(options: ContainerDriverOptions): ContainerDriver {
  const names = homeNames(options.home)
  const locks = createKeyedLock()
  const capabilities: ReadonlySet<OptionalVerb> = new Set(['pause', 'snapshot', 'fork', 'volumes'])
  const listeners = new Set<(id: string) => void>()
  let opened: Opened | undefined

  const use = (): Opened => {
    if (opened === undefined) throw new GibilError('internal', 'The container driver is not open.')
    return opened
  }
  const locked = <T>(id: string, task: (opened: Opened) => Promise<T>): Promise<T> => {
    assertBoxId(id)
    return locks.run(id, () => task(use()))
  }

  return {
    provider: 'local',
    shape: 'container',
    capabilities,
    buildNetworks: createBuildNetworks(() => use().context),
    async open() {
      const context = await openContext(names, options)
      const watch = createExitWatch(options.hostkit, options.log)
      watch.onExit((id) => {
        for (const listener of listeners) listener(id)
      })
      await takeOver(context, watch)
      opened = { context, watch }
    },
    async close() {
      if (opened === undefined) return
      const { context, watch } = opened
      opened = undefined
      watch.close()
      await dismantle(context)
    },
    create: (spec, given = {}) => locked(spec.id, ({ context, watch }) => verbs.create(context, watch, spec, given)),
    adapt: (spec, given = {}) =>
      locked(spec.id, async ({ context, watch }) => {
        try {
          return await adapt(context, watch, spec, given)
        } catch (error) {
          throw GibilError.from(error, 'driver_failed')
        }
      }),
    start: (spec, given = {}) => locked(spec.id, ({ context, watch }) => verbs.start(context, watch, spec, given)),
    stop: (id, graceMs) => locked(id, ({ context, watch }) => verbs.stop(context, watch, id, graceMs)),
    pause: (id) => locked(id, ({ context }) => verbs.pause(context, id)),
    resume: (id) => locked(id, ({ context }) => verbs.resume(context, id)),
    snapshot: (id, snapshot, given = {}) =>
      locked(id, ({ context }) => snapshots.snapshot(context, id, snapshot, given)),
    restore: (spec, snapshotId, given = {}) =>
      locked(spec.id, ({ context, watch }) => restore(context, watch, spec, snapshotId, given)),
    removeSnapshot: async (id) => snapshots.removeSnapshot(use().context, id),
    listSnapshots: async () => snapshots.listSnapshots(use().context),
    mountSnapshot: (id, snapshotId, path) => {
      assertBoxId(snapshotId)
      return locked(id, ({ context }) => mounts.mountSnapshot(context, id, snapshotId, path))
    },
    unmountSnapshot: (id, path) => locked(id, ({ context }) => mounts.unmountSnapshot(context, id, path)),
    async listMounts(id) {
      assertBoxId(id)
      return mounts.listMounts(use().context, id)
    },
    setEgress: (id, egress) => locked(id, ({ context }) => setEgress(context, id, egress)),
    destroy: (id) => locked(id, ({ context, watch }) => verbs.destroy(context, watch, id)),
    async inspect(id) {
      assertBoxId(id)
      const { context } = use()
      const found = await inspectBox(context, id)
      return found.status !== 'partial' || (await allIds(context)).includes(id) ? found : undefined
    },
    async list() {
      const { context } = use()
      return Promise.all((await allIds(context)).map((id) => inspectBox(context, id)))
    },
    async dial(id, signal) {
      const { sharedDir, sharedSocket, socket } = boxPaths(names, id)
      return existsSync(sharedDir) ? dialShared(sharedSocket, id, signal) : dialSocket(socket, id, signal)
    },
    async cpuMs(id) {
      assertBoxId(id)
      return use().context.cgroups.cpuMs(id)
    },
    onExit(listener) {
      listeners.add(listener)
    },
  }
}

/**
 * Takes away what was made for the home itself (firewall, claims, directories in /run) when no box is left to need it. Directories go as empty
 * ones, so that nothing can be lost by mistake.
 */
async function dismantle(context: Context): Promise<void> {
  const { names } = context
  if ((await allIds(context)).length > 0) return
  await context.network.dismantle()
  await context.cgroups.removeParent()
  for (const directory of [runBoxesDir(names), names.runtimeRoot]) await removeEmpty(directory)
  await rm(homeMark(names), { force: true })
  await removeEmpty(names.runDir)
}

const runBoxesDir = (names: HomeNames): string => join(names.runDir, 'boxes')
const homeMark = (names: HomeNames): string => join(names.runDir, 'home')

async function openContext(names: HomeNames, options: ContainerDriverOptions): Promise<Context> {
  if (process.geteuid?.() !== 0) {
    throw new GibilError('needs_root', 'Boxes of the shape container need a daemon that runs as root.')
  }
  const layout = parseCgroupLayout((await readIfThere('/proc/self/mountinfo')) ?? '')
  if (layout === undefined) throw new GibilError('host_unfit', 'No cgroup file system is mounted below /sys/fs/cgroup.')
  const run: RunTool = runTool
  const { hostkit, log, boxdBinary } = options
  await mkdir(names.boxesDir, { recursive: true, mode: 0o700 })
  for (const directory of [names.runDir, runBoxesDir(names)]) {
    await mkdir(directory, { recursive: true, mode: 0o711 })
    await chmod(directory, 0o711)
  }
  await markHome(names)
  const cgroups = createCgroups(layout, names.prefix)
  const openFiles = await ownFileLimit()
  const candidates = options.runtime === undefined ? knownRuntimes : [options.runtime]
  const runtimeDeps = { names, layout, cgroups, run, log, boxdBinary, openFiles }
  const runtime = await chooseRuntime({ ...runtimeDeps, candidates })
  const egress = await egressOfBoxes(names)
  const network = await openNetwork({ names, run, log, resolver: options.resolver, egress })
  return {
    names,
    hostkit,
    cgroups,
    network,
    slots: createSlots(),
    templates: createDiskTemplates(names.cacheDir, hostkit),
    runtime,
    gvisor: () => chooseGvisor(runtimeDeps, options.gvisor),
    boxdBinary,
    pidsLimit: options.pidsLimit,
    openFiles,
    run,
    log,
    step: options.step ?? (() => undefined),
  }
}

/** Two homes whose names have the same hash would share everything: refused, however unlikely it is. */
async function markHome(names: HomeNames): Promise<void> {
  const other = await readIfThere(homeMark(names))
  if (other !== undefined && other !== names.home) {
    throw new GibilError('host_unfit', `The homes ${other} and ${names.home} would have the same names on this host.`, {
      hint: 'Move one of them to another path.',
    })
  }
  await writeFile(homeMark(names), names.home)
}

/** Picks up the boxes of an earlier daemon: their slots, their ends, and links that belong to none. */
async function takeOver(context: Context, watch: ExitWatch): Promise<void> {
  const { names, slots } = context
  await sweepBuildNetworks(context)
  const ids = await allIds(context)
  let known = true
  for (const id of ids) {
    const paths = boxPaths(names, id)
    const read = await readBoxFile(paths)
    if (read.kind === 'box') slots.hold(id, read.box.slot)
    else known = false
    const pid = await readPid(paths.pidFile)
    // A daemon that was killed with its hostkit in the middle of a snapshot has left the disk frozen.
    if (pid !== undefined) await context.hostkit.diskThaw({ target: paths.disk })
    if (pid !== undefined && (await context.cgroups.holds(id, pid)) && (await isUp(pid))) watch.watch(id, pid)
  }
  // A link without a network namespace and a file: a create was killed between the two ends. While a box's file is
  // damaged its link cannot be told from such a one, so all stay until that box is destroyed.
  if (!known) return
  for (const link of await ownLinks(names)) {
    const slot = slotOfLink(names, link)
    if (slot === undefined || slots.has(slot)) continue
    await context.hostkit.netDestroy({ host: link })
    context.log('warn', 'removed a link that belonged to no box', { link })
  }
}

async function ownFileLimit(): Promise<number> {
  const text = (await readIfThere('/proc/self/limits')) ?? ''
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(text)?.[1]
  const limit = Number(hard)
  return Number.isInteger(limit) && limit > 0 ? limit : 524_288
}

async function removeEmpty(path: string): Promise<void> {
  try {
    await rmdir(path)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTEMPTY') throw error
  }
}
