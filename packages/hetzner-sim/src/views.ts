import { locations } from './catalog/locations.ts'
import { pricesOf } from './catalog/pricing.ts'
import { type ServerType, serverTypes } from './catalog/server-types.ts'
import { systemImages } from './catalog/system-images.ts'
import { parseSelector } from './labels.ts'
import type { Action, Firewall, Image, Network, PlacementGroup, PrimaryIp, Project, Server, Volume } from './model.ts'
import type { World } from './world.ts'

/** How resources look in answers: their records, and what follows from other records. */

const locationView = (name: string): object => locations.find((location) => location.name === name) ?? { name }

export function actionView(world: World, { expected: _, ...action }: Action): object {
  return { ...action, progress: world.actions.progress({ ...action, expected: _ }) }
}

export function serverTypeView(world: World, type: ServerType): object {
  const { id, name, description, cores, memory, disk, category, cpu_type, architecture } = type
  return {
    ...{ id, name, description, cores, memory, disk, category, cpu_type, architecture },
    storage_type: 'local',
    deprecated: false,
    deprecation: null,
    prices: pricesOf(type),
    locations: type.prices.map(({ location }) => ({
      ...{ id: locations.find((each) => each.name === location)?.id, name: location },
      available: world.faults.isListed(name, location),
      recommended: false,
      deprecation: null,
    })),
  }
}

export const findServerType = (name: string): ServerType | undefined => serverTypes.find((type) => type.name === name)

export const findImage = (project: Project, id: number | null): Image | undefined =>
  id === null ? undefined : (project.images.get(id) ?? systemImages.find((image) => image.id === id))

/** Firewalls that hold for a server, by name or by its labels. */
export const firewallsOf = (project: Project, server: Server): Firewall[] =>
  [...project.firewalls.values()].filter(({ applied_to }) =>
    applied_to.some((target) =>
      target.type === 'server'
        ? target.server.id === server.id
        : parseSelector(target.label_selector.selector)(server.labels),
    ),
  )

const addressView = (ip: PrimaryIp | undefined): object | null =>
  ip
    ? { id: ip.id, ip: ip.ip, blocked: ip.blocked, dns_ptr: ip.type === 'ipv4' ? ip.dns_ptr[0]?.dns_ptr : ip.dns_ptr }
    : null

export const addressOf = (project: Project, server: number, type: 'ipv4' | 'ipv6'): PrimaryIp | undefined =>
  [...project.primary_ips.values()].find((ip) => ip.assignee_id === server && ip.type === type)

export function serverView(world: World, project: Project, server: Server): object {
  const type = findServerType(server.server_type)
  const group = server.placement_group === null ? undefined : project.placement_groups.get(server.placement_group)
  const { id, name, status, created, labels, protection, primary_disk_size, rescue_enabled, backup_window } = server
  return {
    ...{ id, name, status, created, labels, protection, primary_disk_size, rescue_enabled, backup_window },
    server_type: type && serverTypeView(world, type),
    location: locationView(server.location),
    image: findImage(project, server.image) ?? null,
    iso: null,
    locked: world.actions.isLocked(id),
    public_net: {
      ipv4: addressView(addressOf(project, id, 'ipv4')),
      ipv6: addressView(addressOf(project, id, 'ipv6')),
      floating_ips: [],
      firewalls: firewallsOf(project, server).map((firewall) => ({ id: firewall.id, status: 'applied' })),
    },
    private_net: server.private_net,
    placement_group: group ? placementGroupView(project, group) : null,
    volumes: [...project.volumes.values()].filter((volume) => volume.server === id).map((volume) => volume.id),
    load_balancers: [],
    included_traffic: type?.prices.find(({ location }) => location === server.location)?.traffic.included ?? null,
    ingoing_traffic: 0,
    outgoing_traffic: 0,
  }
}

export const primaryIpView = (ip: PrimaryIp): object => ({
  ...ip,
  location: locationView(ip.location),
  assignee_type: ip.assignee_id === null ? 'unassigned' : 'server',
})

export function firewallView(project: Project, firewall: Firewall): object {
  const applied_to = firewall.applied_to.map((target) => {
    if (target.type === 'server') return target
    const holds = parseSelector(target.label_selector.selector)
    const servers = [...project.servers.values()].filter(({ labels }) => holds(labels))
    return { ...target, applied_to_resources: servers.map(({ id }) => ({ type: 'server', server: { id } })) }
  })
  return { ...firewall, applied_to }
}

export const networkView = (project: Project, network: Network): object => ({
  ...network,
  servers: serversWith(project, (server) => server.private_net.some((net) => net.network === network.id)),
  load_balancers: [],
})

export const volumeView = (volume: Volume): object => ({
  ...volume,
  location: locationView(volume.location),
  linux_device: `/dev/disk/by-id/scsi-0HC_Volume_${volume.id}`,
})

export const placementGroupView = (project: Project, group: PlacementGroup): object => ({
  ...group,
  servers: serversWith(project, (server) => server.placement_group === group.id),
})

const serversWith = (project: Project, has: (server: Server) => boolean): number[] =>
  [...project.servers.values()].filter(has).map(({ id }) => id)
