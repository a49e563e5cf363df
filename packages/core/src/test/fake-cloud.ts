import type { Clock } from '../ports/clock.ts'
import type { Driver, DriverBox, DriverSpec, FoundBox } from '../ports/driver.ts'
import { createFakeDriver } from './fake-driver.ts'
import type { Host } from './host.ts'

const price = { currency: 'EUR', hourly: '0.01', monthly: '5', ipv4Hourly: '0.001', ipv4Monthly: '0.5' }

/** A provider of vms, which lie beside the boxes of the host; its state outlives the daemon. */
export interface FakeCloud {
  /** A strict driver that knows nothing but what there is. */
  driver(): Driver
  readonly specs: DriverSpec[]
  /** Deadlines by box id, as somebody else would read them. */
  readonly deadlines: Map<string, number | null>
  /** Errors that the next calls of `setDeadline` throw. */
  readonly refusals: Error[]
  readonly stops: { readonly id: string; readonly snapshot: boolean }[]
  others: FoundBox[]
}

export function createFakeCloud(host: Host, clock: Clock): FakeCloud {
  const since = new Map<string, string | null>()
  const cloud: FakeCloud = {
    specs: [],
    deadlines: new Map(),
    refusals: [],
    stops: [],
    others: [],
    driver: () => driverOver(createFakeDriver(host, [], { provider: 'hetzner', shape: 'vm' })),
  }
  const billed = (box: DriverBox): DriverBox => ({
    ...box,
    cloud: { serverType: 'cx23', location: 'fsn1', arch: 'x86', price, billedSince: since.get(box.id) ?? null },
  })
  const begin = (spec: DriverSpec): void => {
    cloud.specs.push(spec)
    cloud.deadlines.set(spec.id, spec.deadline ?? null)
    if (!since.get(spec.id)) since.set(spec.id, new Date(clock.now()).toISOString())
  }
  const driverOver = (base: Driver): Driver => ({
    ...base,
    async create(spec, options) {
      options?.onLine?.('Cloud-init v. 22.4.2 running')
      const box = await base.create(spec, options)
      begin(spec)
      return billed(box)
    },
    async start(spec, options) {
      const box = await base.start(spec, options)
      begin(spec)
      return billed(box)
    },
    async stop(id, graceMs, { snapshot = false } = {}) {
      await base.stop(id, graceMs)
      cloud.stops.push({ id, snapshot })
      if (snapshot) since.set(id, null)
    },
    async inspect(id) {
      const box = await base.inspect(id)
      return box && billed(box)
    },
    async setDeadline(id, deadline) {
      const refusal = cloud.refusals.shift()
      if (refusal) throw refusal
      cloud.deadlines.set(id, deadline)
    },
    quote: async () => [{ serverType: 'cx23', location: 'fsn1', arch: 'x86', available: true, price }],
    list: async () => (await base.list()).filter(({ id }) => since.has(id)),
    found: async () => cloud.others,
  })
  return cloud
}
