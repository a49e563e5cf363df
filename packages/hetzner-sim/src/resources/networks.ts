import * as z from 'zod'
import { timeOf } from '../actions.ts'
import { networkZones } from '../catalog/locations.ts'
import { ApiError, invalid, isProtected } from '../errors.ts'
import { list } from '../http/list.ts'
import { bodyOf, type Call, created, noContent, ok, type Route, recordOf } from '../http/route.ts'
import { contains, formatIp, isPrivate, overlaps, parseIp, parseNet, sizeOf } from '../ipv4.ts'
import { labels } from '../labels.ts'
import type { Network, Project, Server } from '../model.ts'
import { actionView, networkView } from '../views.ts'
import { checkName, checkQuota, name, rewrite } from './common.ts'

const range = z.string().refine((text) => {
  const net = parseNet(text)
  return net !== undefined && isPrivate(net)
}, 'is no private network such as 10.0.0.0/16')
const subnetBody = z.object({
  type: z.enum(['cloud', 'server', 'vswitch']),
  ip_range: range.optional(),
  network_zone: z.enum(networkZones),
})
const route = z.object({
  destination: z.string().refine((text) => parseNet(text) !== undefined, 'is no network'),
  gateway: z.string().refine((text) => parseIp(text) !== undefined, 'is no address'),
})
const createBody = z.object({
  name,
  ip_range: range,
  labels: labels.default({}),
  subnets: z.array(subnetBody).default([]),
  routes: z.array(route).default([]),
  expose_routes_to_vswitch: z.boolean().default(false),
})
const changeBody = z.object({
  name: name.optional(),
  labels: labels.optional(),
  expose_routes_to_vswitch: z.boolean().optional(),
})
const what = 'network'

/** Networks are kept in the books only: machines reach each other by their public addresses. */
export const networkRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/networks',
    handle: (call) =>
      list(call, {
        field: 'networks',
        records: call.project.networks.values(),
        view: (network) => networkView(call.project, network),
        filters: { name: (network) => network.name },
        sorts: { name: (network) => network.name, created: (network) => network.created },
      }),
  },
  {
    method: 'POST',
    path: '/networks',
    handle: (call) => {
      const { project, world } = call
      const { subnets, ...body } = bodyOf(call, createBody)
      checkName(project.networks, body.name, what)
      checkQuota(call, what, project.networks.size)
      const network: Network = {
        ...{ id: world.nextId(), ...body, created: timeOf(world.now()) },
        ...{ subnets: [], protection: { delete: false } },
      }
      for (const subnet of subnets) addSubnet(network, subnet)
      project.networks.set(network.id, network)
      world.changed()
      return created({ network: networkView(project, network) })
    },
  },
  {
    method: 'GET',
    path: '/networks/:id',
    handle: (call) => ok({ network: networkView(call.project, recordOf(call, call.project.networks, what)) }),
  },
  {
    method: 'PUT',
    path: '/networks/:id',
    handle: (call) => {
      const network = recordOf(call, call.project.networks, what)
      const change = bodyOf(call, changeBody)
      if (change.name !== undefined) checkName(call.project.networks, change.name, what, network)
      rewrite(network, change)
      network.expose_routes_to_vswitch = change.expose_routes_to_vswitch ?? network.expose_routes_to_vswitch
      call.world.changed()
      return ok({ network: networkView(call.project, network) })
    },
  },
  {
    method: 'DELETE',
    path: '/networks/:id',
    handle: (call) => {
      const network = recordOf(call, call.project.networks, what)
      if (network.protection.delete) throw isProtected(what)
      for (const server of call.project.servers.values()) {
        server.private_net = server.private_net.filter((net) => net.network !== network.id)
      }
      call.project.networks.delete(network.id)
      call.world.changed()
      return noContent
    },
  },
  change('add_subnet', (call, network) => addSubnet(network, bodyOf(call, subnetBody))),
  change('delete_subnet', (call, network) => {
    const { ip_range } = bodyOf(call, z.object({ ip_range: z.string() }))
    if (!network.subnets.some((subnet) => subnet.ip_range === ip_range)) throw invalid('ip_range', 'subnet not found')
    network.subnets = network.subnets.filter((subnet) => subnet.ip_range !== ip_range)
  }),
  change('add_route', (call, network) => {
    network.routes.push(bodyOf(call, route))
  }),
  change('delete_route', (call, network) => {
    const gone = bodyOf(call, route)
    network.routes = network.routes.filter(
      (each) => each.destination !== gone.destination || each.gateway !== gone.gateway,
    )
  }),
  change('change_protection', (call, network) => {
    network.protection = bodyOf(call, z.object({ delete: z.boolean() }))
  }),
  change('change_ip_range', (call, network) => {
    const { ip_range } = bodyOf(call, z.object({ ip_range: range }))
    const outer = parseNet(ip_range)
    const inside = network.subnets.every((subnet) => {
      const net = parseNet(subnet.ip_range)
      return outer && net && contains(outer, net)
    })
    if (!inside) throw invalid('ip_range', 'does not hold all subnets')
    network.ip_range = ip_range
  }),
]

function change(command: string, apply: (call: Call, network: Network) => void): Route {
  return {
    method: 'POST',
    path: `/networks/:id/actions/${command}`,
    handle: (call) => {
      const { world, project } = call
      const network = recordOf(call, project.networks, what)
      apply(call, network)
      const resources = [{ id: network.id, type: 'network' }]
      return created({ action: actionView(world, world.actions.begin({ project, command, resources })) })
    },
  }
}

function addSubnet(network: Network, wanted: z.infer<typeof subnetBody>): void {
  const outer = parseNet(network.ip_range)
  const ip_range = wanted.ip_range ?? freeRange(network)
  const net = parseNet(ip_range)
  if (!outer || !net || !contains(outer, net)) throw invalid('ip_range', 'is not within the network')
  for (const subnet of network.subnets) {
    const other = parseNet(subnet.ip_range)
    if (other && overlaps(other, net)) throw new ApiError(422, 'networks_overlap', 'subnets overlap')
  }
  network.subnets.push({ ...wanted, ip_range, gateway: formatIp((parseNet(network.ip_range)?.address ?? 0) + 1) })
}

/** The first /24 of the network that no subnet has. */
function freeRange(network: Network): string {
  const outer = parseNet(network.ip_range)
  const taken = network.subnets.flatMap((subnet) => parseNet(subnet.ip_range) ?? [])
  for (let at = outer?.address ?? 0; outer && at < outer.address + sizeOf(outer); at += 256) {
    const net = { address: at, bits: Math.max(24, outer.bits) }
    if (!taken.some((other) => overlaps(other, net))) return `${formatIp(at)}/${net.bits}`
  }
  throw new ApiError(422, 'no_subnet_available', 'no subnet is available')
}

/** Gives a server an address of the network: this one, or the first that is free. */
export function joinNetwork(project: Project, network: Network, server: Server, wanted?: string): void {
  if (server.private_net.some((net) => net.network === network.id)) {
    throw new ApiError(422, 'server_already_attached', 'server is already attached to this network')
  }
  const taken = new Set(
    [...project.servers.values()]
      .flatMap(({ private_net }) => private_net)
      .filter((net) => net.network === network.id)
      .flatMap((net) => [net.ip, ...net.alias_ips]),
  )
  if (network.subnets.length === 0) throw new ApiError(422, 'no_subnet_available', 'network has no subnet')
  const ip = wanted ?? firstFree(network, taken)
  const isWithin = network.subnets.some((subnet) => {
    const [net, address] = [parseNet(subnet.ip_range), parseNet(`${ip}/32`)]
    return net && address && contains(net, address)
  })
  if (!isWithin || taken.has(ip)) throw new ApiError(422, 'ip_not_available', 'IP is not available')
  const mac = [...ip.split('.').map(Number)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')
  server.private_net.push({ network: network.id, ip, alias_ips: [], mac_address: `86:00:${mac}` })
}

function firstFree(network: Network, taken: ReadonlySet<string>): string {
  for (const subnet of network.subnets) {
    const net = parseNet(subnet.ip_range)
    // The first address is the gateway's.
    for (let at = 2; net && at < sizeOf(net) - 1; at += 1) {
      const ip = formatIp(net.address + at)
      if (!taken.has(ip)) return ip
    }
  }
  throw new ApiError(422, 'no_subnet_available', 'no address is left')
}
