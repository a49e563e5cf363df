import * as z from 'zod'
import { endCharge } from '../billing.ts'
import { serverTypes } from '../catalog/server-types.ts'
import { ApiError, invalid, soldOut } from '../errors.ts'
import { type Answer, bodyOf, type Call, created, type Route } from '../http/route.ts'
import { labels } from '../labels.ts'
import type { Action, Server } from '../model.ts'
import { actionView, findServerType } from '../views.ts'
import { isCalled, reference, referred } from './common.ts'
import { bootableImage, chargeServer, userData } from './create-server.ts'
import { makeImage } from './images.ts'
import { joinNetwork } from './networks.ts'
import { changeDnsPtr } from './primary-ips.ts'
import { bootMachine, machineOf, onMachine, settle } from './server-power.ts'
import { newPassword, unlockedServerOf } from './servers.ts'

export const serverActionRoutes: readonly Route[] = [
  onServer('poweron', (call, server) => {
    if (server.status === 'running') return plain(call, server, 'start_server')
    server.status = 'starting'
    return bootMachine(call, server, 'start_server')
  }),
  onServer('poweroff', (call, server) =>
    onMachine(call, server, 'stop_server', () => call.world.machines.powerOff(server.id), 'off'),
  ),
  // The action ends when the button was pressed. The machine is off when it says so.
  onServer('shutdown', (call, server) => {
    mustRun(server)
    server.status = 'stopping'
    const action = onMachine(call, server, 'shutdown_server', () => call.world.machines.shutdown(server.id))
    return action
  }),
  onServer('reboot', (call, server) => {
    mustRun(server)
    return onMachine(call, server, 'reboot_server', () => call.world.machines.reset(server.id))
  }),
  onServer('reset', (call, server) => {
    mustRun(server)
    return onMachine(call, server, 'reset_server', () => call.world.machines.reset(server.id))
  }),
  onServer('change_protection', (call, server) => {
    const schema = z.object({ delete: z.boolean().optional(), rebuild: z.boolean().optional() })
    const { delete: ofDelete, rebuild } = bodyOf(call, schema)
    server.protection.delete = ofDelete ?? server.protection.delete
    server.protection.rebuild = rebuild ?? server.protection.rebuild
    return plain(call, server, 'change_protection')
  }),
  onServer('change_type', changeType),
  onServer('enable_backup', (call, server) => {
    server.backup_window = '22-02'
    return plain(call, server, 'enable_backup')
  }),
  onServer('disable_backup', (call, server) => {
    server.backup_window = null
    return plain(call, server, 'disable_backup')
  }),
  onServer('disable_rescue', (call, server) => {
    server.rescue_enabled = false
    return plain(call, server, 'disable_rescue')
  }),
  onServer('attach_to_network', (call, server) => {
    const schema = z.object({ network: z.int(), ip: z.string().optional(), alias_ips: z.array(z.string()).optional() })
    const body = bodyOf(call, schema)
    joinNetwork(call.project, referred(call.project.networks, body.network, 'network'), server, body.ip)
    return plain(call, server, 'attach_to_network')
  }),
  onServer('detach_from_network', (call, server) => {
    const { network } = bodyOf(call, z.object({ network: z.int() }))
    server.private_net = server.private_net.filter((net) => net.network !== network)
    return plain(call, server, 'detach_from_network')
  }),
  onServer('add_to_placement_group', (call, server) => {
    const body = bodyOf(call, z.object({ placement_group: z.int() }))
    server.placement_group = referred(call.project.placement_groups, body.placement_group, 'placement_group').id
    return plain(call, server, 'add_to_placement_group')
  }),
  onServer('remove_from_placement_group', (call, server) => {
    server.placement_group = null
    return plain(call, server, 'remove_from_placement_group')
  }),
  answering('create_image', (call, server) => {
    const schema = z.object({
      type: z.enum(['snapshot', 'backup']).default('snapshot'),
      description: z.string().nullish(),
      labels: labels.nullish(),
    })
    const { type, description, labels: given } = bodyOf(call, schema)
    if (type === 'backup' && server.backup_window === null) throw invalid('type', 'backups are not enabled')
    const { image, action } = makeImage(call, server, {
      ...{ type, description: description ?? `snapshot of ${server.name}`, labels: given ?? {} },
    })
    return created({ image, action: actionView(call.world, action) })
  }),
  answering('rebuild', rebuild),
  answering('enable_rescue', (call, server) => {
    server.rescue_enabled = true
    const root_password = newPassword()
    return created({ action: actionView(call.world, plain(call, server, 'enable_rescue')), root_password })
  }),
  answering('change_dns_ptr', (call, server) => {
    const { ip } = bodyOf(call, z.object({ ip: z.string() }))
    const address = [...call.project.primary_ips.values()].find(
      (each) => each.assignee_id === server.id && (each.ip === ip || each.type === 'ipv6'),
    )
    if (!address) throw invalid('ip', 'is not of this server')
    return changeDnsPtr(call, address)
  }),
]

function answering(verb: string, handle: (call: Call, server: Server) => Answer): Route {
  return {
    method: 'POST',
    path: `/servers/:id/actions/${verb}`,
    handle: (call) => handle(call, unlockedServerOf(call)),
  }
}

function onServer(verb: string, begin: (call: Call, server: Server) => Action): Route {
  return answering(verb, (call, server) => created({ action: actionView(call.world, begin(call, server)) }))
}

/** An action of the books, which no machine has to do with. */
const plain = (call: Call, server: Server, command: string): Action =>
  onMachine(call, server, command, async () => undefined)

function mustRun(server: Server): void {
  if (server.status !== 'running') throw new ApiError(422, 'server_not_running', 'server must be running')
}

function changeType(call: Call, server: Server): Action {
  const { world, project } = call
  const body = bodyOf(call, z.object({ server_type: reference, upgrade_disk: z.boolean() }))
  const type = serverTypes.find((each) => isCalled(each, body.server_type))
  if (!type) throw invalid('server_type', `server type '${body.server_type}' not found`)
  if (server.status !== 'off') throw new ApiError(422, 'server_not_stopped', 'server must be off')
  const isFit =
    type.architecture === findServerType(server.server_type)?.architecture &&
    type.disk >= server.primary_disk_size &&
    type.prices.some(({ location }) => location === server.location)
  if (!isFit) throw new ApiError(422, 'invalid_server_type', 'server type does not fit this server')
  if (world.faults.soldOut(type.name, server.location)) throw soldOut()
  server.status = 'migrating'
  return world.actions.begin({
    ...{ project, command: 'change_server_type', locks: server.id, resources: [{ id: server.id, type: 'server' }] },
    done: () => {
      server.server_type = type.name
      if (body.upgrade_disk) server.primary_disk_size = type.disk
      endCharge(project, world.now(), 'server', server.id)
      chargeServer(call, server, type)
      settle(world, server, 'off')
    },
    failed: () => settle(world, server, 'off'),
  })
}

/** The same server with another disk, which boots for the first time again. Keys are those that it was made with. */
function rebuild(call: Call, server: Server): Answer {
  const { world, project } = call
  if (server.protection.rebuild) throw new ApiError(423, 'protected', 'server rebuild is protected')
  const body = bodyOf(call, z.object({ image: reference, user_data: userData.nullish() }))
  const type = findServerType(server.server_type)
  if (!type) throw new ApiError(422, 'invalid_server_type', 'server type is gone')
  const image = bootableImage(project, body.image, type, server.primary_disk_size)
  const rootPassword = server.ssh_keys.length > 0 ? null : newPassword()
  const before = { status: server.status, image: server.image }
  server.status = 'rebuilding'
  const action = world.actions.begin({
    ...{ project, command: 'rebuild_server', locks: server.id, resources: [{ id: server.id, type: 'server' }] },
    work: async () => {
      Object.assign(server, { image: image.id, root_password: rootPassword })
      server.user_data = body.user_data ?? server.user_data
      await world.machines.remove(server.id)
      await world.machines.boot(machineOf(project, server))
    },
    done: () => settle(world, server, 'running'),
    failed: () => {
      Object.assign(server, before)
      world.changed()
    },
  })
  return created({ action: actionView(world, action), root_password: rootPassword })
}
