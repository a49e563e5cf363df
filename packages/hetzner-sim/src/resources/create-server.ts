import { randomBytes } from 'node:crypto'
import * as z from 'zod'
import { timeOf } from '../actions.ts'
import { startCharge } from '../billing.ts'
import { type Location, locations } from '../catalog/locations.ts'
import { type ServerType, serverTypes } from '../catalog/server-types.ts'
import { systemImages } from '../catalog/system-images.ts'
import { ApiError, invalid, soldOut } from '../errors.ts'
import { bodyOf, type Call } from '../http/route.ts'
import { labels } from '../labels.ts'
import type { Action, Image, PrimaryIp, Project, Server, SshKey } from '../model.ts'
import { checkName, checkQuota, isCalled, reference, referred } from './common.ts'
import { applyFirewall } from './firewalls.ts'
import { joinNetwork } from './networks.ts'
import { checkUsable, makeAddress } from './primary-ips.ts'
import { bootMachine } from './server-power.ts'
import { attach, checkAttachable } from './volumes.ts'

/** RFC 1123. */
export const serverName = z
  .string()
  .max(253)
  .regex(
    /^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/,
    'is no host name',
  )

/** 32 KiB, of UTF-8. */
const mostUserData = 32 * 1024
export const userData = z
  .string()
  .refine((text) => Buffer.byteLength(text) <= mostUserData, `must be ${mostUserData} bytes at most`)

const ids = z.array(z.int()).nullish()
const body = z.object({
  name: serverName,
  server_type: reference,
  image: reference,
  location: reference.nullish(),
  ssh_keys: z.array(reference).nullish(),
  user_data: userData.nullish(),
  labels: labels.nullish(),
  start_after_create: z.boolean().nullish(),
  automount: z.boolean().nullish(),
  volumes: ids,
  networks: ids,
  firewalls: z.array(z.object({ firewall: z.int() })).nullish(),
  placement_group: z.int().nullish(),
  public_net: z
    .object({
      enable_ipv4: z.boolean().default(true),
      enable_ipv6: z.boolean().default(true),
      ipv4: z.int().nullish(),
      ipv6: z.int().nullish(),
    })
    .nullish(),
})
type Body = z.infer<typeof body>

interface CreatedServer {
  readonly server: Server
  readonly rootPassword: string | null
  readonly action: Action
  /** What follows by itself. */
  readonly next: Action[]
}

/** Checks all that was asked for before anything is made, so that a refusal leaves nothing behind. */
export function createServer(call: Call): CreatedServer {
  const { world, project } = call
  const wanted = bodyOf(call, body)
  checkName(project.servers, wanted.name, 'server')
  const plan = check(call, wanted)
  const { type, location, image } = plan
  checkQuota(call, 'server', project.servers.size)
  if (world.faults.soldOut(type.name, location.name)) throw soldOut()

  const server: Server = {
    ...{ id: world.nextId(), name: wanted.name, labels: wanted.labels ?? {}, created: timeOf(world.now()) },
    ...{ status: 'initializing', server_type: type.name, location: location.name, image: image.id },
    ...{ protection: { delete: false, rebuild: false }, private_net: [] },
    ...{ placement_group: wanted.placement_group ?? null, primary_disk_size: type.disk, rescue_enabled: false },
    ...{ backup_window: null, user_data: wanted.user_data ?? '' },
    ssh_keys: plan.keys.map((key) => key.public_key),
    root_password: plan.keys.length > 0 ? null : randomBytes(15).toString('base64url'),
  }
  project.servers.set(server.id, server)
  chargeServer(call, server, type)
  giveAddresses(call, server, wanted, plan)
  for (const network of plan.networks) joinNetwork(project, network, server)

  const resources = [{ id: server.id, type: 'server' }]
  const action = world.actions.begin({
    ...{ project, command: 'create_server', locks: server.id, resources },
    done: () => {
      server.status = wanted.start_after_create === false ? 'off' : 'starting'
    },
    failed: () => {
      server.status = 'off'
    },
  })
  const next = [
    ...(wanted.start_after_create === false ? [] : [bootMachine(call, server, 'start_server', action)]),
    ...plan.volumes.map((volume) => attach(call, volume, server.id, action)),
    ...plan.networks.map((network) =>
      world.actions.begin({
        ...{ project, command: 'attach_to_network', after: action },
        resources: [...resources, { id: network.id, type: 'network' }],
      }),
    ),
  ]
  for (const firewall of plan.firewalls) applyFirewall(call, firewall, { type: 'server', server: { id: server.id } })
  return { server, rootPassword: server.root_password, action, next }
}

/** What a server of this type costs from now on. */
export function chargeServer({ project, world }: Call, server: Server, type: ServerType): void {
  const { hourly = '0', monthly = '0' } = type.prices.find((price) => price.location === server.location) ?? {}
  startCharge(project, world.now(), { kind: 'server', id: server.id, what: type.name, hourly, monthly })
}

function check({ project, world }: Call, wanted: Body) {
  const type = serverTypes.find((each) => isCalled(each, wanted.server_type))
  if (!type) throw invalid('server_type', `server type '${wanted.server_type}' not found`)
  const image = bootableImage(project, wanted.image, type)
  const location = placeFor(type, wanted, (place) => world.faults.isListed(type.name, place))
  const keys = (wanted.ssh_keys ?? []).map((key) => keyCalled(project, key))
  const firewalls = (wanted.firewalls ?? []).map(({ firewall }) => referred(project.firewalls, firewall, 'firewalls'))
  const networks = (wanted.networks ?? []).map((network) => referred(project.networks, network, 'networks'))
  const volumes = (wanted.volumes ?? []).map((volume) => referred(project.volumes, volume, 'volumes'))
  for (const volume of volumes) checkAttachable(volume, location.name)
  if (wanted.placement_group) referred(project.placement_groups, wanted.placement_group, 'placement_group')
  const net = wanted.public_net
  const given = (type: 'ipv4' | 'ipv6'): PrimaryIp | undefined => {
    const id = net?.[type]
    if (!id) return undefined
    const ip = referred(project.primary_ips, id, `public_net.${type}`)
    checkUsable(ip, type, location.name)
    return ip
  }
  const addresses = { ipv4: given('ipv4'), ipv6: given('ipv6') }
  if (net?.enable_ipv4 === false && net.enable_ipv6 === false && networks.length === 0) {
    throw invalid('public_net', 'a server without public addresses needs a network')
  }
  return { type, image, location, keys, firewalls, networks, volumes, addresses }
}

/** The image for a server of this type; throws 422 when there is none, or when it does not fit. */
export function bootableImage(project: Project, wanted: Body['image'], type: ServerType, disk = type.disk): Image {
  const all = [...systemImages, ...project.images.values()].filter((image) => isCalled(image, wanted))
  const image = all.find(({ architecture }) => architecture === type.architecture) ?? all[0]
  if (!image) throw invalid('image', `image '${wanted}' not found`)
  if (image.status !== 'available') throw invalid('image', 'image is not available')
  if (image.architecture !== type.architecture) {
    throw invalid('image', 'image has another architecture than the server type')
  }
  if (image.disk_size > disk) throw invalid('image', 'image needs a larger disk')
  return image
}

function placeFor(type: ServerType, wanted: Body, isListed: (location: string) => boolean): Location {
  const sold = locations.filter(({ name }) => type.prices.some((price) => price.location === name))
  if (wanted.location === undefined || wanted.location === null) {
    const location = sold.find(({ name }) => isListed(name))
    if (!location) throw soldOut()
    return location
  }
  const location = locations.find((each) => isCalled(each, wanted.location ?? ''))
  if (!location) throw invalid('location', `location '${wanted.location}' not found`)
  if (!sold.includes(location)) {
    throw new ApiError(422, 'invalid_input', 'unsupported location for server type', {
      fields: [{ name: 'location', messages: ['unsupported location for server type'] }],
    })
  }
  return location
}

function keyCalled(project: Project, wanted: number | string): SshKey {
  const key = [...project.ssh_keys.values()].find((each) => isCalled(each, wanted))
  if (!key) throw invalid('ssh_keys', `SSH key '${wanted}' not found`)
  return key
}

function giveAddresses(call: Call, server: Server, wanted: Body, plan: ReturnType<typeof check>): void {
  for (const type of ['ipv4', 'ipv6'] as const) {
    const ip = plan.addresses[type]
    if (wanted.public_net?.[`enable_${type}`] === false) continue
    if (ip) ip.assignee_id = server.id
    else {
      const address = { type, location: server.location, assignee_id: server.id, auto_delete: true, labels: {} }
      makeAddress(call.world, call.project, address)
    }
  }
}
