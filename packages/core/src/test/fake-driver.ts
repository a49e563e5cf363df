import { PassThrough } from 'node:stream'
import { GibilError } from '@gibil/contract'
import { spareHostname } from '../pool/spare.ts'
import type { Driver, DriverBox, OptionalVerb, SelfEnding, Silence } from '../ports/driver.ts'
import type { Host, HostBox, HostSnapshot } from './host.ts'

/** Which box a stream that was dialled leads to. */
export const dialled = new WeakMap<object, string>()

export interface FakeDriver extends Driver {
  /** Errors that the next calls of a method throw. */
  readonly failures: Map<string, unknown[]>
  /** Called in the middle of a method, to make it slow. */
  hold: (method: string, id: string) => Promise<void>
  /** A box ends by itself. */
  kill(id: string, reason: string, console?: string, asked?: SelfEnding): void
  /** What the driver hears of a box. */
  hears(id: string, silence: Silence | null): void
  readonly open: () => Promise<void>
}

const view = (id: string, box: HostBox): DriverBox => ({
  id,
  status: box.status,
  address: box.status === 'running' ? '10.0.0.2' : null,
  ...(box.reason === undefined ? {} : { reason: box.reason }),
  ...(box.console === undefined ? {} : { console: box.console }),
  ...(box.asked === undefined ? {} : { asked: box.asked }),
})

const usual: readonly OptionalVerb[] = ['pause', 'snapshot', 'fork']

/** Keeps to the port to the letter, and is angry at callers who do not. */
export function createFakeDriver(
  host: Host,
  capabilities: readonly OptionalVerb[] = usual,
  place: Pick<Driver, 'provider' | 'shape'> = { provider: 'local', shape: 'container' },
): FakeDriver {
  let opened = false
  const busy = new Set<string>()
  const listeners: ((id: string) => void)[] = []
  const failures = new Map<string, unknown[]>()
  const silenceListeners: ((id: string, silence: Silence | null) => void)[] = []

  const driver: FakeDriver = {
    ...place,
    capabilities: new Set(capabilities),
    failures,
    hold: async () => undefined,
    hears(id, silence) {
      for (const listener of silenceListeners) listener(id, silence)
    },
    kill(id, reason, console, asked) {
      const box = host.boxes.get(id)
      if (!box) throw new Error(`kill of ${id}, which is not there`)
      box.status = 'stopped'
      box.reason = reason
      box.console = console
      box.asked = asked
      host.endJobs(box)
      for (const listener of listeners) listener(id)
    },
    async open() {
      const failure = failures.get('open')?.shift()
      if (failure) throw failure
      if (opened) throw violation('opened twice')
      opened = true
    },
    async close() {
      opened = false
    },
    create: (spec, { signal, trace } = {}) =>
      change('create', spec.id, async () => {
        const found = host.boxes.get(spec.id)
        const same = found && JSON.stringify(found.spec) === JSON.stringify(spec)
        if (found && !same && found.spec.hostname !== spareHostname) throw violation('create with another spec')
        const there = same ? found : undefined
        const from = spec.from === undefined ? undefined : needSnapshot(spec.from)
        if (from && from.image !== spec.image.digest) throw violation('begins as a snapshot over another image')
        const box: HostBox = there ?? {
          spec,
          status: 'partial',
          reason: undefined,
          console: undefined,
          disk: new Map(from?.disk),
          jobs: new Map(from?.jobs),
          configured: {},
          starts: 0,
          cpuMs: 0,
          graces: [],
          mounts: new Map(),
        }
        host.boxes.set(spec.id, box)
        try {
          await driver.hold('create', spec.id)
          signal?.throwIfAborted()
          fail('create.late')
        } catch (error) {
          host.boxes.delete(spec.id)
          throw error
        }
        box.status = 'running'
        box.starts += 1
        trace?.('disk', 2)
        return view(spec.id, box)
      }),
    adapt: (spec) =>
      change('adapt', spec.id, async () => {
        const box = need(spec.id)
        if (box.spec.hostname !== spareHostname || box.status !== 'running') throw violation('adapt of a used box')
        if (box.spec.image.digest !== spec.image.digest) throw violation('adapt to another image')
        await driver.hold('adapt', spec.id)
        host.boxes.set(spec.id, { ...box, spec })
        return view(spec.id, box)
      }),
    start: (spec) =>
      change('start', spec.id, async () => {
        const box = host.boxes.get(spec.id)
        if (!box) throw new GibilError('driver_failed', 'nothing to start')
        await driver.hold('start', spec.id)
        if (box.status !== 'running') box.starts += 1
        box.status = 'running'
        box.reason = undefined
        box.asked = undefined
        box.console = undefined
        return view(spec.id, box)
      }),
    stop: (id, graceMs) =>
      change('stop', id, async () => {
        const box = need(id)
        if (box.status === 'paused' && graceMs > 0) throw violation('a grace for a frozen box')
        host.endJobs(box)
        box.graces.push(graceMs)
        await driver.hold('stop', id)
        box.status = 'stopped'
      }),
    pause: (id) =>
      change('pause', id, async () => {
        const box = need(id)
        if (box.status !== 'running' && box.status !== 'paused') throw violation(`pause of a box that is ${box.status}`)
        box.status = 'paused'
      }),
    resume: (id) =>
      change('resume', id, async () => {
        const box = need(id)
        if (box.status !== 'running' && box.status !== 'paused')
          throw violation(`resume of a box that is ${box.status}`)
        box.status = 'running'
      }),
    snapshot: (id, { id: snapshotId, kind }, { signal } = {}) =>
      change('snapshot', id, async () => {
        const box = need(id)
        if (kind === 'disk+memory' && (box.status === 'stopped' || !driver.capabilities.has('memory-snapshot')))
          throw violation('memory of a box that has none to save')
        const jobs = kind === 'disk+memory' ? box.jobs : new Map()
        const image = box.spec.image.digest
        const made = host.snapshots.get(snapshotId) ?? { kind, image, disk: new Map(box.disk), jobs, whole: false }
        host.snapshots.set(snapshotId, made)
        try {
          await driver.hold('snapshot', id)
          signal?.throwIfAborted()
          fail('snapshot.late')
        } catch (error) {
          host.snapshots.delete(snapshotId)
          throw error
        }
        made.whole = true
        return { id: snapshotId, kind, bytes: made.disk.size }
      }),
    restore: (spec, snapshotId, { signal } = {}) =>
      change('restore', spec.id, async () => {
        const box = need(spec.id)
        const from = needSnapshot(snapshotId)
        if (from.image !== spec.image.digest) throw violation('restore over another image')
        host.endJobs(box)
        box.status = 'stopped'
        await driver.hold('restore', spec.id)
        signal?.throwIfAborted()
        fail('restore.late')
        const now: HostBox = {
          ...box,
          status: 'running',
          reason: undefined,
          disk: new Map(from.disk),
          jobs: new Map(from.jobs),
          configured: {},
          starts: box.starts + 1,
        }
        host.boxes.set(spec.id, now)
        return view(spec.id, now)
      }),
    mountSnapshot: (id, snapshotId, path) =>
      change('mountSnapshot', id, async () => {
        const box = need(id)
        if (box.status !== 'running') throw violation(`a mount in a box that is ${box.status}`)
        if (needSnapshot(snapshotId).image !== box.spec.image.digest) throw violation('a mount over another image')
        if (box.mounts.has(path)) throw new GibilError('file_conflict', `${path} is in use.`)
        box.mounts.set(path, snapshotId)
        return { path, snapshotId }
      }),
    unmountSnapshot: (id, path) =>
      change('unmountSnapshot', id, async () => {
        if (!need(id).mounts.delete(path)) throw violation(`nothing is mounted at ${path}`)
      }),
    listMounts: async (id) => [...need(id).mounts].map(([path, snapshotId]) => ({ path, snapshotId })),
    setEgress: (id, egress) =>
      change('setEgress', id, async () => {
        const box = need(id)
        await driver.hold('setEgress', id)
        host.boxes.set(id, { ...box, spec: { ...box.spec, egress } })
      }),
    removeSnapshot: (id) =>
      change('removeSnapshot', id, async () => {
        await driver.hold('removeSnapshot', id)
        host.snapshots.delete(id)
      }),
    async listSnapshots() {
      needOpen()
      fail('listSnapshots')
      return [...host.snapshots].flatMap(([id, { kind, disk, whole }]) =>
        whole ? [{ id, kind, bytes: disk.size }] : [],
      )
    },
    destroy: (id) =>
      change('destroy', id, async () => {
        const box = host.boxes.get(id)
        if (!box) return
        host.endJobs(box)
        box.status = 'partial'
        await driver.hold('destroy', id)
        fail('destroy.late')
        host.boxes.delete(id)
      }),
    cpuMs: async (id) => host.boxes.get(id)?.cpuMs,
    async inspect(id) {
      needOpen()
      fail('inspect')
      const box = host.boxes.get(id)
      return box && view(id, box)
    },
    async list() {
      needOpen()
      fail('list')
      return [...host.boxes].map(([id, box]) => view(id, box))
    },
    async dial(id, signal) {
      needOpen()
      signal?.throwIfAborted()
      fail('dial')
      const box = host.boxes.get(id)
      if (box?.status !== 'running') throw new GibilError('boxd_unreachable', `no boxd in ${id}`)
      const stream = new PassThrough()
      dialled.set(stream, id)
      return stream
    },
    onExit: (listener) => void listeners.push(listener),
    onSilence: (listener) => void silenceListeners.push(listener),
    console: async (id) => need(id).console ?? '',
  }

  const violation = (what: string): Error => {
    host.violations.push(what)
    return new Error(what)
  }
  const needOpen = (): void => {
    if (!opened) throw violation('used before it was opened')
  }
  const need = (id: string): HostBox => {
    const box = host.boxes.get(id)
    if (!box) throw new Error(`${id} is not there`)
    return box
  }
  const needSnapshot = (id: string): HostSnapshot => {
    const snapshot = host.snapshots.get(id)
    if (!snapshot?.whole) throw violation(`the snapshot ${id} is not there, or not whole`)
    return snapshot
  }
  const fail = (method: string): void => {
    const failure = failures.get(method)?.shift()
    if (failure) throw failure
  }
  /** Two changes of one box at once are a fault of the caller. */
  const change = async <T>(method: string, id: string, work: () => Promise<T>): Promise<T> => {
    needOpen()
    if (busy.has(id)) throw violation(`${method} of ${id} while another change is under way`)
    busy.add(id)
    try {
      fail(method)
      return await work()
    } finally {
      busy.delete(id)
    }
  }
  return driver
}
