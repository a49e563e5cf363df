import { GibilError } from '@gibil/contract'
import type { Clock } from '../ports/clock.ts'
import type { Driver, DriverBox, DriverSpec, FoundBox } from '../ports/driver.ts'
import { createFakeDriver } from './fake-driver.ts'
import type { Host } from './host.ts'

const price = { currency: 'EUR', hourly: '0.01', monthly: '5', ipv4Hourly: '0.001', ipv4Monthly: '0.5' }

/** A provider of vms, which lie beside the boxes of the host; its state outlives the daemon. */
export interface FakeCloud {
  /** A strict driver of a home that knows nothing but what there is. */
  driver(home?: string): Driver
  /** Whose each box is. */
  readonly homes: Map<string, string>
  /** Errors that the next calls of `adopt` throw, once the box is the other home's or before. */
  readonly adoptFailures: { readonly error: Error; readonly done: boolean }[]
  readonly specs: DriverSpec[]
  /** Deadlines by box id, as somebody else would read them. */
  readonly deadlines: Map<string, number | null>
  /** Errors that the next calls of `setDeadline` throw. */
  readonly refusals: Error[]
  readonly stops: { readonly id: string; readonly snapshot: boolean }[]
}

export function createFakeCloud(host: Host, clock: Clock): FakeCloud {
  const since = new Map<string, string | null>()
  const cloud: FakeCloud = {
    specs: [],
    deadlines: new Map(),
    refusals: [],
    stops: [],
    homes: new Map(),
    adoptFailures: [],
    driver: (home = 'here') => driverOver(createFakeDriver(host, [], { provider: 'hetzner', shape: 'vm' }), home),
  }
  const billed = (box: DriverBox): DriverBox => ({
    ...box,
    cloud: { serverType: 'cx23', location: 'fsn1', arch: 'x86', price, billedSince: since.get(box.id) ?? null },
  })
  const begin = (spec: DriverSpec, home: string): void => {
    cloud.homes.set(spec.id, cloud.homes.get(spec.id) ?? home)
    cloud.specs.push(spec)
    cloud.deadlines.set(spec.id, spec.deadline ?? null)
    if (!since.get(spec.id)) since.set(spec.id, new Date(clock.now()).toISOString())
  }
  const driverOver = (base: Driver, home: string): Driver => ({
    ...base,
    async create(spec, options) {
      options?.onLine?.('Cloud-init v. 22.4.2 running')
      options?.onNotice?.('open to all')
      const box = await base.create(spec, options)
      begin(spec, home)
      return billed(box)
    },
    async start(spec, options) {
      const box = await base.start(spec, options)
      begin(spec, home)
      return billed(box)
    },
    async stop(id, graceMs, { snapshot = false } = {}) {
      await base.stop(id, graceMs)
      cloud.stops.push({ id, snapshot })
      if (snapshot) since.set(id, null)
    },
    async inspect(id) {
      const box = await base.inspect(id)
      const elsewhere = cloud.homes.get(id)
      if (box && elsewhere !== home) return { id, status: 'partial', address: null, elsewhere }
      return box && billed(box)
    },
    async destroy(id) {
      if (cloud.homes.get(id) === home) await base.destroy(id)
    },
    async adopt(id) {
      const failure = cloud.adoptFailures.shift()
      if (failure && !failure.done) throw failure.error
      const box = await base.inspect(id)
      if (!box) throw new GibilError('box_not_found', `no box ${id}`)
      cloud.homes.set(id, home)
      if (failure) throw failure.error
      return billed(box)
    },
    async setDeadline(id, deadline) {
      const refusal = cloud.refusals.shift()
      if (refusal) throw refusal
      cloud.deadlines.set(id, deadline)
    },
    quote: async () => [{ serverType: 'cx23', location: 'fsn1', arch: 'x86', available: true, price }],
    list: async () => (await base.list()).filter(({ id }) => since.has(id) && cloud.homes.get(id) === home),
    found: async () =>
      [...host.boxes].map(([id, { spec, status }]): FoundBox => {
        const { address, cloud: facts } = billed({ id, status, address: null })
        return {
          ...{ id, address, cloud: facts, status: status === 'running' ? status : 'stopped' },
          ...{ name: spec.name ?? id, owner: spec.owner ?? null, image: spec.image.name, size: spec.size },
          deadline: cloud.deadlines.get(id) ?? null,
          createdAt: new Date(clock.now()).toISOString(),
          ...{ home: cloud.homes.get(id) ?? '', host: 'laptop', reachable: true },
        }
      }),
  })
  return cloud
}
