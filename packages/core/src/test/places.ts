import { json } from 'node:stream/consumers'
import type { Shape } from '@gibil/contract'
import type { BoxdPort, ConnectBoxd, ControlPlaneDeps, Driver, SaveTree } from '../index.ts'
import type { TreeSurvey } from '../ports/boxd.ts'
import { createFakeBoxd } from './fake-boxd.ts'
import { createFakeCloud } from './fake-cloud.ts'
import { createFakeDriver, type FakeDriver } from './fake-driver.ts'
import { createHost, type Host } from './host.ts'
import type { World } from './world.ts'

const names = ['container', 'microvm', 'vm', 'hetzner'] as const
export type PlaceName = (typeof names)[number]

/** Several places for boxes, each with what it has of them, so that one box may be in two while it moves. They outlive the daemon. */
export interface Places {
  readonly hosts: Readonly<Record<PlaceName, Host>>
  /** What a new daemon has of them. */
  deps(): Pick<ControlPlaneDeps, 'drivers' | 'connectBoxd' | 'images'>
  /** Drivers of the daemon that was last told of them. */
  readonly drivers: ReadonlyMap<PlaceName, FakeDriver>
  /** Where there is anything of a box. */
  of(id: string): PlaceName[]
  /** What boxd says of a tree beside what is in it. */
  survey: Partial<TreeSurvey>
  changed: readonly string[]
  soldOut: boolean
  /** Boxes that are kept still now. */
  still: number
}

export function createPlaces(world: World): Places {
  const hosts = { container: world.host, microvm: createHost(), vm: createHost(), hetzner: createHost() }
  const cloud = createFakeCloud(hosts.hetzner, world.clock)
  /** Trees that became images. */
  const trees = new Map<string, Map<string, string>>()
  const streams = new WeakMap<object, Host>()
  const drivers = new Map<PlaceName, FakeDriver>()
  for (const name of ['docker', 'vm', 'workstation']) {
    const digest = `sha256:${name}`
    world.images.set(name, { name, digest, layers: [], env: {}, workdir: null, user: null })
  }

  const driverOf = (name: PlaceName): Driver => {
    const host = hosts[name]
    const shape: Shape = name === 'hetzner' ? 'vm' : name
    const driver = createFakeDriver(host, ['pause', 'snapshot', 'fork'], { provider: 'local', shape })
    drivers.set(name, driver)
    const base: Driver = name === 'hetzner' ? cloud.driver() : driver
    return {
      ...base,
      ...(name === 'hetzner'
        ? {
            quote: async (wanted) =>
              ((await base.quote?.(wanted)) ?? []).map((offer) => ({ ...offer, available: !places.soldOut })),
          }
        : {}),
      async create(spec, options) {
        const isNew = !host.boxes.has(spec.id)
        const made = await base.create(spec, options)
        const box = host.boxes.get(spec.id)
        if (isNew) for (const [path, content] of trees.get(spec.image.digest) ?? []) box?.disk.set(path, content)
        return made
      },
      async dial(id, signal) {
        const stream = await base.dial(id, signal)
        streams.set(stream, host)
        return stream
      },
    }
  }

  const connectBoxd: ConnectBoxd = (dial) =>
    new Proxy({} as BoxdPort, {
      get: (_, method: keyof BoxdPort) => {
        return async (...args: unknown[]) => {
          const stream = await dial()
          const host = streams.get(stream) ?? world.host
          stream.destroy()
          const boxd = createFakeBoxd(host, world.clock)(dial)
          const answer: unknown = await Reflect.apply(boxd[method] as (...all: unknown[]) => unknown, boxd, args)
          if (method === 'surveyTree') return { ...(answer as TreeSurvey), ...places.survey }
          if (method !== 'standStill') return answer
          places.still += 1
          return () => {
            places.still -= 1
          }
        }
      },
    })

  const saveTree = async ({ source, tar }: SaveTree) => {
    const disk = new Map((await json(tar)) as [string, string][])
    const digest = `sha256:tree-${trees.size + 1}`
    trees.set(digest, disk)
    world.images.set(digest, { name: digest, digest, layers: ['/tree'], env: {}, workdir: null, user: 'agent' })
    const image = { name: digest, digest, source, sizeBytes: 1, layers: 1, createdAt: '', env: {} }
    return {
      image: { ...image, workdir: null, user: null },
      bytes: 1,
      report: { entries: disk.size, changed: [...places.changed], changedCount: places.changed.length, sockets: 0 },
    }
  }

  const places: Places = {
    hosts,
    drivers,
    survey: {},
    changed: [],
    soldOut: false,
    still: 0,
    of: (id) => names.filter((name) => hosts[name].boxes.has(id)),
    deps: () => ({ drivers: names.map(driverOf), connectBoxd, images: { ...world.deps().images, saveTree } }),
  }
  return places
}
