import { EventEmitter, on } from 'node:events'
import type { Duplex, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import {
  type AdoptableBox,
  type BakedImage,
  type Box,
  type BudgetLimits,
  type CreateBox,
  type Event,
  type Fleet,
  GibilError,
  type Mount,
  type Snapshot,
  type Status,
} from '@gibil/contract'
import { type ControlPlane, type CreateOptions, defaultPolicy } from '@gibil/core'
import { recommend } from '../../../core/src/choose/recommend.ts'

/** Of the chooser, which is the real one. */
const aHost = { cpus: 8, memoryMib: 32_768, freeDiskMib: 200_000, emulated: false, unavailable: () => null }

const unknownHere = (): never => {
  throw new GibilError('internal', 'The fake plane has no tokens and no sessions, and publishes nothing.')
}

/** A control plane in memory: boxes are records only, and `dial` says how boxd of each is reached. */
export interface FakePlane extends ControlPlane {
  readonly uploads: Map<string, Buffer>
  readonly quietConnects: string[]
  readonly waitingSignals: AbortSignal[]
  /** Lets the creates of the image "slow" go on. */
  release(): void
  emit(event: Pick<Event, 'type' | 'boxId' | 'boxName'>): Event
  finishSetup(ref: string, log: string): void
}

const base = {
  shape: 'container',
  chosenBecause: ['nothing more was asked for'],
  provider: 'local',
  image: 'base',
  size: { cpu: 2, memoryMib: 4096, diskMib: 10_240 },
  status: 'running',
  readiness: 'ready',
  failure: null,
  onFailure: 'restart',
  unresponsiveSince: null,
  waitsFor: null,
  user: 'agent',
  envNames: [],
  labels: {},
  fleet: null,
  owner: null,
  network: 'internet',
  egress: { allow: [], deny: [] },
  isolation: 'namespaces',
  volumes: [],
  address: '10.0.0.2',
  cloud: null,
  cost: null,
  ports: [],
  published: [],
  repo: null,
  parent: null,
  lease: {
    ttlSeconds: 3600,
    expiresAt: null,
    idleSeconds: null,
    onExpire: 'destroy',
    onIdle: 'pause',
    deadlineAtProvider: null,
  },
  createdAt: '2026-01-01T00:00:00.000Z',
  startedAt: '2026-01-01T00:00:00.000Z',
  lastActiveAt: null,
  activity: { since: null, commands: 0, files: 0, ports: 0 },
  awake: null,
  timings: [{ phase: 'start', ms: 21 }],
} as const satisfies Omit<Box, 'id' | 'name'>

const adoptable: readonly AdoptableBox[] = ['far', 'away'].map((name, index) => ({
  id: `bx${'abc'[index]?.repeat(12)}`,
  name,
  provider: 'hetzner',
  owner: null,
  image: 'vm',
  status: 'running',
  cloud: null,
  createdAt: '2026-01-01T00:00:00.000Z',
  expiresAt: null,
  home: '0123456789abcdef',
  host: 'laptop',
  reachable: true,
}))

const bakedImage: Omit<BakedImage, 'name'> = {
  provider: 'hetzner',
  id: '77',
  arch: 'x86',
  sizeBytes: 2_000_000_000,
  leastDiskBytes: 40_000_000_000,
  createdAt: '2026-01-01T00:00:00.000Z',
  currency: 'EUR',
  monthly: '0.0286',
}

export function createFakePlane(options: {
  readonly dial?: (box: Box, signal?: AbortSignal) => Promise<Duplex>
  readonly start?: () => Promise<void>
}): FakePlane {
  const boxes = new Map<string, Box>()
  const snapshots = new Map<string, Snapshot>()
  const baked = new Map<string, BakedImage>()
  const mounted = new Map<string, Mount[]>()
  const logs = new Map<string, { text: string; done: boolean }>()
  let budget: BudgetLimits = { daily: null, perBox: null }
  const kept: Event[] = []
  const bus = new EventEmitter()
  bus.setMaxListeners(0)
  const uploads = new Map<string, Buffer>()
  const quietConnects: string[] = []
  const waitingSignals: AbortSignal[] = []
  const held: (() => void)[] = []
  const refused = new Set<string>()

  const find = (ref: string): Box => {
    const box = [...boxes.values()].find(({ id, name }) => id === ref || name === ref)
    if (!box) throw new GibilError('box_not_found', `There is no box "${ref}".`)
    return box
  }
  const findSnapshot = (ref: string): Snapshot => {
    const found = [...snapshots.values()].find(({ id, name }) => id === ref || name === ref)
    if (!found) throw new GibilError('snapshot_not_found', `There is no snapshot "${ref}".`)
    return found
  }
  const put = (box: Box): Box => {
    boxes.set(box.id, box)
    return box
  }
  const to = (ref: string, status: Status): Box => put({ ...find(ref), status })
  const emit: FakePlane['emit'] = (event) => {
    const whole = { ...event, seq: kept.length + 1, owner: null, at: '2026-01-01T00:00:00.000Z', data: {} }
    kept.push(whole)
    bus.emit('event', whole)
    return whole
  }

  const create = async (input: CreateBox, { onProgress, signal }: CreateOptions = {}): Promise<Box> => {
    const name = input.name ?? 'made-up'
    if ([...boxes.values()].some((box) => box.name === name)) {
      throw new GibilError('name_in_use', `Another box is called ${name}.`)
    }
    if (input.image === 'busy-once' && input.name !== undefined && !refused.has(input.name)) {
      refused.add(input.name)
      throw new GibilError('busy', 'Enough for now.', { details: { retryAfterSeconds: 0.05 } })
    }
    if (input.image === 'busy') {
      throw new GibilError('busy', 'Enough for now.', { details: { retryAfterSeconds: 7 } })
    }
    onProgress?.({ phase: 'start', ms: 21 })
    if (input.image === 'slow') {
      if (signal) waitingSignals.push(signal)
      await new Promise<void>((resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason))
        held.push(resolve)
      })
    }
    const id = `b${boxes.size + 1}`
    logs.set(id, { text: '', done: false })
    const box = put({ ...base, id, name, fleet: null })
    emit({ type: 'box.created', boxId: id, boxName: name })
    return box
  }

  return {
    uploads,
    quietConnects,
    waitingSignals,
    emit,
    release: () => {
      for (const resolve of held.splice(0)) resolve()
    },
    finishSetup: (ref, text) => void logs.set(find(ref).id, { text, done: true }),
    start: options.start ?? (async () => undefined),
    caughtUp: async () => undefined,
    stop: async () => undefined,
    volumes: {
      create: async () => unknownHere(),
      list: async () => [],
      get: async () => unknownHere(),
      remove: async () => unknownHere(),
    },
    sessions: {
      start: async () => unknownHere(),
      list: async () => [],
      get: async () => unknownHere(),
      stop: async () => unknownHere(),
      remove: async () => unknownHere(),
      output: async () => unknownHere(),
      recording: async () => unknownHere(),
      result: async () => unknownHere(),
    },
    pool: () => ({ ready: 0, wanted: 0, hits: 0, misses: 0 }),
    create,
    createFleet: async (input, createOptions) => {
      const fleet: Fleet = { id: 'f1', boxes: [], failures: [] }
      for (let index = 1; index <= input.count; index += 1) {
        const box = await create({ name: `${input.name ?? 'f'}-${index}` }, createOptions)
        fleet.boxes.push(put({ ...box, fleet: fleet.id }))
      }
      return fleet
    },
    wait: async (ref) => find(ref),
    uploadRepo: async (ref: string, tar: Readable) => {
      const box = find(ref)
      uploads.set(box.id, await buffer(tar))
      return box
    },
    get: async (ref) => find(ref),
    list: async (filter) => [...boxes.values()].filter(({ fleet }) => !filter?.fleet || fleet === filter.fleet),
    extend: async (ref) => find(ref),
    setEgress: async (ref, egress) => ({ ...find(ref), egress }),
    pause: async (ref) => to(ref, 'paused'),
    resume: async (ref) => to(ref, 'running'),
    stopBox: async (ref) => to(ref, 'stopped'),
    startBox: async (ref) => to(ref, 'running'),
    restart: async (ref) => to(ref, 'running'),
    console: async (ref) => `console of ${find(ref).name}\n`,
    destroy: async (ref) => {
      const box = to(ref, 'destroyed')
      boxes.delete(box.id)
      return box
    },
    destroyFleet: async (fleet) => {
      const own = [...boxes.values()].filter((box) => box.fleet === fleet)
      if (own.length === 0) throw new GibilError('fleet_not_found', `No box belongs to ${fleet}.`)
      for (const { id } of own) boxes.delete(id)
      return own
    },
    snapshot: async (ref, { name = 'made-up', kind = 'disk' }) => {
      const { id: boxId, name: boxName, parent, shape, provider, image, size, isolation, createdAt } = find(ref)
      const box = { boxId, boxName, parent, shape, provider, image, size, isolation, createdAt }
      const id = `s${snapshots.size + 1}`
      const snapshot: Snapshot = { ...box, id, name, kind, status: 'ready', owner: null, setup: false, bytes: 4096 }
      snapshots.set(id, snapshot)
      return snapshot
    },
    snapshots: async (filter) =>
      [...snapshots.values()].filter(({ boxName }) => !filter?.box || boxName === filter.box),
    getSnapshot: async (ref) => findSnapshot(ref),
    removeSnapshot: async (ref) => {
      const snapshot = findSnapshot(ref)
      snapshots.delete(snapshot.id)
      return snapshot
    },
    restore: async (ref, snapshot) => put({ ...find(ref), parent: findSnapshot(snapshot).id }),
    exportBox: async () => unknownHere(),
    importBox: async () => unknownHere(),
    move: async (ref) => ({ box: find(ref), bytes: 0, silentMs: 0, changed: [], notes: [] }),
    mount: async (ref, { snapshot, path }) => {
      const { id, name } = findSnapshot(snapshot)
      const mount: Mount = { path: path ?? `/snapshots/${name}`, snapshotId: id, snapshot: name }
      mounted.set(find(ref).id, [...(mounted.get(find(ref).id) ?? []), mount])
      return mount
    },
    unmount: async (ref, what) => {
      const all = mounted.get(find(ref).id) ?? []
      const mount = all.find(({ path, snapshot }) => path === what || snapshot === what)
      if (!mount) throw new GibilError('file_not_found', `Nothing is mounted at ${what}.`)
      mounted.set(
        find(ref).id,
        all.filter((one) => one !== mount),
      )
      return mount
    },
    mounts: async (ref) => mounted.get(find(ref).id) ?? [],
    fork: async ({ from, name, count = 1 }, forkOptions) => {
      const source = [...snapshots.values()].find((one) => one.name === from)?.id ?? find(from).parent
      const made: Box[] = []
      for (let index = 1; index <= count; index += 1) {
        const box = await create({ name: count === 1 ? name : `${name}-${index}` }, forkOptions)
        made.push(put({ ...box, parent: source }))
      }
      return { fleet: count === 1 ? null : 'f2', boxes: made, failures: [] }
    },
    connect: async (ref, signal, connectOptions) => {
      const box = find(ref)
      if (connectOptions?.quiet) quietConnects.push(box.id)
      if (!options.dial) throw new GibilError('boxd_unreachable', 'This box has no boxd.')
      return { box, stream: await options.dial(box, signal) }
    },
    publish: unknownHere,
    unpublish: unknownHere,
    published: async (ref) => ({ box: find(ref), ports: [] }),
    setupLog: async (ref, offset, limit) => {
      const { text, done } = logs.get(find(ref).id) ?? { text: '', done: true }
      const part = text.slice(offset, offset + limit)
      return { text: part, nextOffset: offset + part.length, done }
    },
    async *events({ afterSeq, boxId, live: goOn = true, signal }) {
      const live = on(bus, 'event', { signal })
      const wanted = (event: Event): boolean => boxId === undefined || event.boxId === boxId
      if (afterSeq !== undefined) yield* kept.filter((event) => event.seq > afterSeq && wanted(event))
      if (!goOn) return
      try {
        for await (const [event] of live) if (wanted(event)) yield event
      } catch (error) {
        if (!signal.aborted) throw error
      }
    },
    // One user: tokens are tested where boxes are real.
    tokens: {
      create: unknownHere,
      list: async () => [],
      revoke: unknownHere,
      authenticate: async () => {
        throw new GibilError('unauthorized', 'The token is wrong.')
      },
    },
    as: unknownHere,
    saveImage: unknownHere,
    sweep: async () => ['b9'],
    bakedImages: async () => [...baked.values()],
    bakeImage: async ({ name, cloudInit }, bakeOptions = {}) => {
      bakeOptions.onProgress?.({ phase: 'bake', message: cloudInit })
      const image = { ...bakedImage, name }
      baked.set(name, image)
      return image
    },
    removeBakedImage: async (name) => {
      if (!baked.delete(name)) throw new GibilError('image_not_found', `No image "${name}" was baked.`)
    },
    adoptable: async () => adoptable.filter(({ id }) => !boxes.has(id)),
    adopt: async (ref, { name }) => {
      const found = adoptable.find((box) => box.id === ref || box.name === ref)
      if (!found) throw new GibilError('box_not_found', `There is no box "${ref}" that could be adopted.`)
      return put({ ...base, id: found.id, name: name ?? found.name })
    },
    imageEvent: async () => undefined,
    ended: async () => undefined,
    cost: async () => ({ budget: { ...budget, planned: '0.25', left: '1.00' }, currencies: [] }),
    setBudget: async (limits) => {
      budget = limits
      return { ...budget, planned: '0.25', left: '1.00' }
    },
    shapes: () => [{ shape: 'container', provider: 'local', unavailable: null }],
    choose: async (needs) => ({ ...recommend(needs, aHost, defaultPolicy), before: [], cost: null }),
  }
}
