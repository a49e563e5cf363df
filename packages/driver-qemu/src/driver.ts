import { chmod, mkdir, rm, rmdir } from 'node:fs/promises'
import { GibilError } from '@gibil/contract'
import type { Driver, DriverOptions, DriverSpec, FillDisk, OptionalVerb, Silence } from '@gibil/core'
import {
  assertBoxId,
  createCgroups,
  createKeyedLock,
  createSlots,
  errnoOf,
  type HomeNames,
  type Log,
  openNetwork,
  parseCgroupLayout,
  readIfThere,
  runTool,
} from '@gibil/host'
import type { HostKit } from '@gibil/hostkit-client'
import { isEmulated } from './accelerator.ts'
import { adapt } from './adapt.ts'
import { readBoxFile } from './box-file.ts'
import { createConsoles } from './console.ts'
import type { Context } from './context.ts'
import { dialBoxd } from './control.ts'
import { egressOfBoxes, setEgress } from './egress.ts'
import { createFrozenStore } from './frozen.ts'
import { createMachineCgroups } from './machine-cgroups.ts'
import { fitQemu, machineryOnce } from './machinery.ts'
import { type MachineModel, machineryDir, microvm, namesOf, vm } from './model.ts'
import * as mounts from './mounts.ts'
import { boxMachine, boxPaths, freezingDir, isFreezing, runBoxesDir } from './names.ts'
import { mendCutOff, pause, resume } from './pause.ts'
import { restore } from './restore.ts'
import { createRootDisks } from './root-disk.ts'
import { listSnapshots, removeSnapshot, snapshot as takeSnapshot } from './snapshot.ts'
import { sweepUnfinished } from './stands-on.ts'
import type { Step } from './steps.ts'
import { allIds, inspectBox } from './survey.ts'
import * as verbs from './verbs.ts'
import { createWatch, type Watch } from './watch.ts'

export interface MachineDriverOptions {
  /** The daemon's home: all names on the host derive from this path. */
  readonly home: string
  /** Path of the boxd binary for this host's architecture. */
  readonly boxdBinary: string
  /** Path of the program that `hostkit` speaks to. */
  readonly hostkitBinary: string
  readonly hostkit: HostKit
  readonly log: Log
  /** IPv4 address of the resolver for boxes, instead of the host's. */
  readonly resolver?: string | undefined
  /** Where the guest's kernel is kept, and what was found out of the host; in the home if absent. */
  readonly cacheDir?: string | undefined
  readonly step?: Step | undefined
}

interface Opened {
  readonly context: Context
  readonly watch: Watch
}

/** Boxes of the shape `microvm` on this machine. */
export const createMicrovmDriver = (options: MachineDriverOptions): Driver => createMachineDriver(microvm, options)

/** Boxes of the shape `vm` on this machine. */
export const createVmDriver = (options: MachineDriverOptions): Driver => createMachineDriver(vm, options)

function createMachineDriver(model: MachineModel, options: MachineDriverOptions): Driver {
  const { shape } = model
  const names = namesOf(model, options.home)
  const locks = createKeyedLock()
  const capabilities: ReadonlySet<OptionalVerb> = new Set(['pause', 'snapshot', 'fork', 'memory-snapshot'])
  const listeners = new Set<(id: string) => void>()
  const silenceListeners = new Set<(id: string, silence: Silence | null) => void>()
  let opened: Opened | undefined

  const use = (): Opened => {
    if (opened === undefined) throw new GibilError('internal', `The driver of the shape ${shape} is not open.`)
    return opened
  }
  const locked = <T>(id: string, task: (opened: Opened) => Promise<T>): Promise<T> => {
    assertBoxId(id)
    return locks.run(id, () => task(use()))
  }

  return {
    provider: 'local',
    shape,
    capabilities,
    async open() {
      const context = await openContext(model, names, options)
      const watch = createWatch(context, locks, (id, silence) => {
        for (const listener of silenceListeners) listener(id, silence)
      })
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
      context.consoles.close()
      await dismantle(context)
    },
    create: (spec, given = {}) => locked(spec.id, ({ context, watch }) => verbs.create(context, watch, spec, given)),
    // A full machine has a system of its own, over which a tree is laid.
    ...(model.hasInit
      ? {}
      : {
          createFilled: (spec: DriverSpec, fill: FillDisk, given: DriverOptions = {}) =>
            locked(spec.id, ({ context, watch }) => verbs.create(context, watch, spec, given, fill)),
        }),
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
    pause: (id) =>
      locked(id, async ({ context, watch }) => {
        await mounts.unmountAll(context, id)
        return pause(context, watch, id)
      }),
    resume: (id) => locked(id, ({ context, watch }) => resume(context, watch, id)),
    snapshot: (id, snapshot) => locked(id, ({ context }) => takeSnapshot(context, id, snapshot)),
    restore: (spec, snapshotId, given = {}) =>
      locked(spec.id, ({ context, watch }) => restore(context, watch, spec, snapshotId, given)),
    removeSnapshot: (snapshotId) => removeSnapshot(use().context, snapshotId),
    listSnapshots: () => listSnapshots(use().context),
    mountSnapshot: (id, snapshotId, path, given = {}) => {
      assertBoxId(snapshotId)
      return locked(id, ({ context }) => mounts.mountSnapshot(context, id, snapshotId, path, given))
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
      assertBoxId(id)
      const { context } = use()
      return dialBoxd(context, boxMachine(names, id), signal)
    },
    async cpuMs(id) {
      assertBoxId(id)
      return use().context.cgroups.cpuMs(id)
    },
    emulates: () => isEmulated(options.cacheDir ?? machineryDir(options.home)),
    onExit(listener) {
      listeners.add(listener)
    },
    onSilence(listener) {
      silenceListeners.add(listener)
    },
    async console(id) {
      assertBoxId(id)
      return use().context.consoles.text(id)
    },
  }
}

async function openContext(model: MachineModel, names: HomeNames, options: MachineDriverOptions): Promise<Context> {
  const { hostkit, log } = options
  const qemu = fitQemu(model.shape)
  const layout = parseCgroupLayout((await readIfThere('/proc/self/mountinfo')) ?? '')
  if (layout === undefined) throw new GibilError('host_unfit', 'No cgroup file system is mounted below /sys/fs/cgroup.')
  for (const directory of [names.boxesDir, names.cacheDir]) await mkdir(directory, { recursive: true, mode: 0o700 })
  for (const directory of [names.runDir, runBoxesDir(names)]) {
    await mkdir(directory, { recursive: true, mode: 0o711 })
    await chmod(directory, 0o711)
  }
  const context: Context = {
    model,
    names,
    hostkit,
    hostkitBinary: options.hostkitBinary,
    boxdBinary: options.boxdBinary,
    cgroups: createCgroups(layout, names.prefix),
    machineCgroups: createMachineCgroups(layout, names.prefix),
    network: await openNetwork({
      names,
      run: runTool,
      log,
      resolver: options.resolver,
      egress: await egressOfBoxes(names),
    }),
    slots: createSlots(),
    consoles: createConsoles(),
    disks: createRootDisks({ names, hostkit, run: runTool }),
    machinery: machineryOnce({ ...options, qemu, cacheDir: options.cacheDir ?? machineryDir(options.home) }),
    run: runTool,
    log,
    step: options.step ?? (() => undefined),
    read: new Map(),
    frozen: createFrozenStore(() => context),
  }
  return context
}

/** Picks up the boxes of an earlier daemon, their slots and their ends, and removes machines that it was about to freeze. */
async function takeOver(context: Context, watch: Watch): Promise<void> {
  for (const id of (await context.cgroups.ids()).filter(isFreezing)) {
    await context.cgroups.kill(id)
    await context.cgroups.remove(id)
  }
  await rm(freezingDir(context.names), { recursive: true, force: true })
  for (const id of await allIds(context)) {
    const read = await readBoxFile(boxPaths(context.names, id))
    if (read.kind === 'box') context.slots.hold(id, read.box.slot)
    const pid = await mendCutOff(context, id)
    if (pid === undefined) continue
    context.consoles.listen(id, boxPaths(context.names, id).console)
    watch.found(id, pid)
  }
  await sweepUnfinished(context.names)
}

/** Takes away what was made for the home itself when no box is left to need it. */
async function dismantle(context: Context): Promise<void> {
  if ((await allIds(context)).length > 0) return
  await context.network.dismantle()
  await context.cgroups.removeParent()
  for (const directory of [freezingDir(context.names), runBoxesDir(context.names), context.names.runDir]) {
    await rmdir(directory).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTEMPTY') throw error
    })
  }
}
