import type { DriverBox } from '@gibil/core'
import type { CatalogSource } from './catalog.ts'
import type { CallOptions, Client, Kind, Thing } from './client/client.ts'
import type { ApiServer } from './client/schemas.ts'
import { deadlineOf, type Labels, labelNames } from './labels.ts'
import { archOf, priceOf } from './plan.ts'

/** All that can carry our labels, in the order in which it is removed: what holds others first. */
export const kindsOfThings = [
  'servers',
  'primary_ips',
  'volumes',
  'firewalls',
  'ssh_keys',
  'images',
] as const satisfies Kind[]

/** All things at the cloud that a selector finds. */
export type Things = { readonly [K in Kind]: readonly Thing<K>[] }

export async function look(client: Client, selector: string, options: CallOptions = {}): Promise<Things> {
  const query = { label_selector: selector }
  const [servers, primary_ips, volumes, firewalls, ssh_keys, images] = await Promise.all([
    client.list('servers', query, options),
    client.list('primary_ips', query, options),
    client.list('volumes', query, options),
    client.list('firewalls', query, options),
    client.list('ssh_keys', query, options),
    client.list('images', query, options),
  ])
  return { servers, primary_ips, volumes, firewalls, ssh_keys, images }
}

export const isNothing = (things: Things): boolean => kindsOfThings.every((kind) => things[kind].length === 0)

/** How many there are of what, for people: `1 server, 2 firewalls`. */
export function describeThings(things: Things): string {
  const counts = kindsOfThings.flatMap((kind) => {
    const { length } = things[kind]
    return length === 0 ? [] : [`${length} ${kind.replace(/_/g, ' ').replace(/s$/, length === 1 ? '' : 's')}`]
  })
  return counts.join(', ')
}

/** Puts together what belongs to one box. A snapshot that is of no box is left out. */
export function byBox(things: Things): ReadonlyMap<string, Things> {
  const boxes = new Map<string, Things>()
  const ids = new Set(
    kindsOfThings.flatMap((kind) => things[kind].flatMap(({ labels }) => labels?.[labelNames.boxId] ?? [])),
  )
  for (const id of ids) {
    const mine = <T extends { readonly labels?: Labels | undefined }>(all: readonly T[]): readonly T[] =>
      all.filter(({ labels }) => labels?.[labelNames.boxId] === id)
    boxes.set(id, {
      servers: mine(things.servers),
      primary_ips: mine(things.primary_ips),
      volumes: mine(things.volumes),
      firewalls: mine(things.firewalls),
      ssh_keys: mine(things.ssh_keys),
      images: mine(things.images),
    })
  }
  return boxes
}

/** Statuses of a server in which it works or soon will (https://docs.hetzner.cloud, servers). */
const running = ['running', 'initializing', 'starting', 'rebuilding', 'migrating']

/** A box as core sees it. One whose server was given back is `stopped` as long as its snapshot is there. */
export async function toDriverBox(
  id: string,
  { servers: [server], images }: Pick<Things, 'servers' | 'images'>,
  catalog: CatalogSource,
  options: CallOptions = {},
): Promise<DriverBox> {
  if (server === undefined) {
    return { id, status: images.some(({ status }) => status === 'available') ? 'stopped' : 'partial', address: null }
  }
  const address = server.public_net.ipv4?.ip ?? null
  const { pricing } = await catalog.get({ maxAgeMs: 600_000, ...options })
  const price = priceOf(server.server_type, server.location.name, pricing)
  const cloud = price && {
    serverType: server.server_type.name,
    location: server.location.name,
    arch: archOf(server.server_type.architecture),
    price,
    // Also when it is off: what exists is billed.
    billedSince: new Date(server.created).toISOString(),
  }
  return { id, status: statusOf(server), address, ...(cloud ? { cloud } : {}) }
}

export function statusOf({ status }: ApiServer): DriverBox['status'] {
  if (running.includes(status)) return 'running'
  return status === 'off' || status === 'stopping' ? 'stopped' : 'partial'
}

/** The home that has a box, by what decides over it: its server or snapshot. Undefined when it has neither, or they do not say. */
export const homeOf = ({ servers, images }: Things): string | undefined =>
  (servers[0] ?? images[0])?.labels[labelNames.home]

/** Whether a box, or what remains of one, is a home's. */
export const isOf = (things: Things, home: string): boolean =>
  things.servers.length > 0 || things.images.length > 0
    ? homeOf(things) === home
    : kindsOfThings.some((kind) => things[kind].some(({ labels }) => labels?.[labelNames.home] === home))

/**
 * When a box ends by what its labels say, in seconds since 1970; null: never. That of its server or snapshot counts, which an extension
 * moves; what is left without them goes by its own.
 */
export function deadlineOfBox(things: Things): number | null {
  const machines = [...things.servers, ...things.images]
  const telling =
    machines.length > 0 ? machines : [...things.primary_ips, ...things.volumes, ...things.firewalls, ...things.ssh_keys]
  const deadlines = telling.map(({ labels }) => deadlineOf(labels ?? {}))
  return deadlines.includes(null) ? null : Math.max(...deadlines.map(Number))
}
