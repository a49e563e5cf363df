import * as z from 'zod'
import { timeOf } from '../actions.ts'
import { endCharge, startCharge } from '../billing.ts'
import { locations } from '../catalog/locations.ts'
import { extras } from '../catalog/pricing.ts'
import { ApiError, invalid, isProtected } from '../errors.ts'
import { list } from '../http/list.ts'
import { type Answer, bodyOf, type Call, created, noContent, ok, type Route, recordOf } from '../http/route.ts'
import { labels } from '../labels.ts'
import type { PrimaryIp, Project, Server } from '../model.ts'
import { actionView, addressOf, primaryIpView } from '../views.ts'
import type { World } from '../world.ts'
import { checkName, checkQuota, isCalled, name, reference, referred, rewrite } from './common.ts'

const createBody = z.object({
  name,
  type: z.enum(['ipv4', 'ipv6']),
  labels: labels.default({}),
  auto_delete: z.boolean().default(false),
  assignee_type: z.literal('server').optional(),
  assignee_id: z.int().nullish(),
  location: reference.nullish(),
})
const changeBody = z.object({
  name: name.optional(),
  labels: labels.optional(),
  auto_delete: z.boolean().optional(),
})
const what = 'primary IP'

export const primaryIpRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/primary_ips',
    handle: (call) =>
      list(call, {
        field: 'primary_ips',
        records: call.project.primary_ips.values(),
        view: primaryIpView,
        filters: { name: (ip) => ip.name, ip: ({ ip }) => ip },
        sorts: { created: (ip) => ip.created },
      }),
  },
  {
    method: 'POST',
    path: '/primary_ips',
    handle: (call) => {
      const { project, world } = call
      const body = bodyOf(call, createBody)
      checkName(project.primary_ips, body.name, what)
      const server = body.assignee_id ? referred(project.servers, body.assignee_id, 'assignee_id') : undefined
      if (server && body.location) throw invalid('location', 'cannot be given together with assignee_id')
      const location = server?.location ?? locations.find((each) => isCalled(each, body.location ?? ''))?.name
      if (location === undefined) throw invalid('location', 'location not found')
      if (server) checkFree(project, server, body.type)
      checkQuota(call, 'primary_ip', project.primary_ips.size)
      const ip = makeAddress(world, project, { ...body, location, assignee_id: server?.id ?? null })
      const action = server ? beginAssign(call, ip, 'assign_primary_ip') : null
      return created({ primary_ip: primaryIpView(ip), action })
    },
  },
  {
    method: 'GET',
    path: '/primary_ips/:id',
    handle: (call) => ok({ primary_ip: primaryIpView(recordOf(call, call.project.primary_ips, what)) }),
  },
  {
    method: 'PUT',
    path: '/primary_ips/:id',
    handle: (call) => {
      const ip = recordOf(call, call.project.primary_ips, what)
      const change = bodyOf(call, changeBody)
      if (change.name !== undefined) checkName(call.project.primary_ips, change.name, what, ip)
      rewrite(ip, change)
      ip.auto_delete = change.auto_delete ?? ip.auto_delete
      call.world.changed()
      return ok({ primary_ip: primaryIpView(ip) })
    },
  },
  {
    method: 'DELETE',
    path: '/primary_ips/:id',
    handle: (call) => {
      const ip = recordOf(call, call.project.primary_ips, what)
      if (ip.protection.delete) throw isProtected(what)
      if (ip.assignee_id !== null) throw new ApiError(422, 'must_be_unassigned', 'primary IP must be unassigned')
      dropAddress(call.world, call.project, ip)
      return noContent
    },
  },
  {
    method: 'POST',
    path: '/primary_ips/:id/actions/assign',
    handle: (call) => {
      const ip = recordOf(call, call.project.primary_ips, what)
      const body = bodyOf(call, z.object({ assignee_id: z.int(), assignee_type: z.literal('server') }))
      const server = referred(call.project.servers, body.assignee_id, 'assignee_id')
      checkUsable(ip, ip.type, server.location)
      checkFree(call.project, server, ip.type)
      checkOff(server)
      ip.assignee_id = server.id
      return created({ action: beginAssign(call, ip, 'assign_primary_ip') })
    },
  },
  {
    method: 'POST',
    path: '/primary_ips/:id/actions/unassign',
    handle: (call) => {
      const ip = recordOf(call, call.project.primary_ips, what)
      const server = call.project.servers.get(ip.assignee_id ?? 0)
      if (!server) throw new ApiError(422, 'primary_ip_unassigned', 'primary IP is not assigned')
      checkOff(server)
      ip.assignee_id = null
      return created({ action: beginAssign(call, ip, 'unassign_primary_ip') })
    },
  },
  {
    method: 'POST',
    path: '/primary_ips/:id/actions/change_protection',
    handle: (call) => {
      const ip = recordOf(call, call.project.primary_ips, what)
      ip.protection = bodyOf(call, z.object({ delete: z.boolean() }))
      return created({ action: beginAssign(call, ip, 'change_protection') })
    },
  },
  {
    method: 'POST',
    path: '/primary_ips/:id/actions/change_dns_ptr',
    handle: (call) => changeDnsPtr(call, recordOf(call, call.project.primary_ips, what)),
  },
]

/** Sets the reverse name of an address; null gives back the usual one. */
export function changeDnsPtr(call: Call, ip: PrimaryIp): Answer {
  const body = bodyOf(call, z.object({ ip: z.string(), dns_ptr: z.string().nullable() }))
  const others = ip.dns_ptr.filter((entry) => entry.ip !== body.ip)
  const dns_ptr = body.dns_ptr ?? (ip.type === 'ipv4' ? usualName(ip.ip) : null)
  ip.dns_ptr = dns_ptr === null ? others : [...others, { ip: body.ip, dns_ptr }]
  return created({ action: beginAssign(call, ip, 'change_dns_ptr') })
}

function beginAssign({ world, project }: Call, ip: PrimaryIp, command: string): object {
  const server = ip.assignee_id === null ? [] : [{ id: ip.assignee_id, type: 'server' }]
  const resources = [{ id: ip.id, type: 'primary_ip' }, ...server]
  return actionView(world, world.actions.begin({ project, command, resources }))
}

/** Throws unless this address can be given to a server there. */
export function checkUsable(ip: PrimaryIp, type: 'ipv4' | 'ipv6', location: string): void {
  if (ip.type !== type) throw new ApiError(422, 'primary_ip_version_mismatch', `primary IP is no ${type}`)
  if (ip.location !== location) {
    throw new ApiError(422, 'primary_ip_location_mismatch', 'primary IP is at another location')
  }
  if (ip.assignee_id !== null) throw new ApiError(422, 'primary_ip_assigned', 'primary IP is already assigned')
}

function checkFree(project: Project, server: Server, type: 'ipv4' | 'ipv6'): void {
  if (addressOf(project, server.id, type)) throw new ApiError(422, 'server_has_ip', `server already has an ${type}`)
}

function checkOff(server: Server): void {
  if (server.status !== 'off') throw new ApiError(422, 'server_not_stopped', 'server must be off')
}

interface NewAddress {
  readonly name?: string
  readonly type: 'ipv4' | 'ipv6'
  readonly location: string
  readonly assignee_id: number | null
  readonly auto_delete: boolean
  readonly labels: Record<string, string>
}

/** A new address. IPv6 ones are of the network kept for documents (RFC 3849), since no host here leads any. */
export function makeAddress(world: World, project: Project, wanted: NewAddress): PrimaryIp {
  const id = world.nextId()
  const ip = wanted.type === 'ipv4' ? world.freeIpv4() : ipv6Network(id)
  const address: PrimaryIp = {
    ...{ id, name: wanted.name ?? `primary_ip-${id}`, labels: wanted.labels, created: timeOf(world.now()) },
    ...{ type: wanted.type, ip, location: wanted.location, assignee_id: wanted.assignee_id },
    ...{ auto_delete: wanted.auto_delete, blocked: false, protection: { delete: false } },
    dns_ptr: wanted.type === 'ipv4' ? [{ ip, dns_ptr: usualName(ip) }] : [],
  }
  project.primary_ips.set(id, address)
  if (wanted.type === 'ipv4') {
    const prices = { hourly: extras.ipv4Hourly, monthly: extras.ipv4Monthly }
    startCharge(project, world.now(), { kind: 'primary_ip', id, what: ip, ...prices })
  }
  world.changed()
  return address
}

export function dropAddress(world: World, project: Project, { id }: PrimaryIp): void {
  project.primary_ips.delete(id)
  endCharge(project, world.now(), 'primary_ip', id)
  world.changed()
}

const usualName = (ip: string): string => `static.${ip.split('.').reverse().join('.')}.clients.your-server.de`

/** A /64 for each id. */
const ipv6Network = (id: number): string =>
  `2001:db8:${Math.floor(id / 65_536).toString(16)}:${(id % 65_536).toString(16)}::/64`
