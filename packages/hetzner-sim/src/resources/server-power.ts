import type { Call } from '../http/route.ts'
import { inboundOf } from '../inbound.ts'
import type { MachineSpec } from '../machines/port.ts'
import type { Action, Project, Server } from '../model.ts'
import { addressOf, findImage, findServerType } from '../views.ts'
import type { World } from '../world.ts'

/** Starts the machine of a server: an action, after which it is running, or off. */
export function bootMachine({ world, project }: Call, server: Server, command: string, after?: Action): Action {
  return world.actions.begin({
    ...{ project, command, locks: server.id, resources: [{ id: server.id, type: 'server' }] },
    ...(after && { after }),
    work: () => world.machines.boot(machineOf(project, server)),
    done: () => settle(world, server, 'running'),
    failed: () => settle(world, server, 'off'),
  })
}

/** An action on the machine of a server, which is in this status afterwards; when it fails, in the one of before. */
export function onMachine(
  { world, project }: Call,
  server: Server,
  command: string,
  work: () => Promise<unknown>,
  status?: Server['status'],
): Action {
  const before = server.status
  return world.actions.begin({
    ...{ project, command, locks: server.id, resources: [{ id: server.id, type: 'server' }], work },
    done: () => {
      if (status) settle(world, server, status)
    },
    failed: () => settle(world, server, before),
  })
}

export function settle(world: World, server: Server, status: Server['status']): void {
  server.status = status
  world.changed()
}

export function machineOf(project: Project, server: Server): MachineSpec {
  const { cores = 1, memory = 1, architecture = 'x86' } = findServerType(server.server_type) ?? {}
  const image = findImage(project, server.image)
  return {
    ...{ id: server.id, name: server.name, cores, memory, disk: server.primary_disk_size, architecture },
    ...{ location: server.location, image: { id: image?.id ?? 0, name: image?.name ?? null } },
    ipv4: addressOf(project, server.id, 'ipv4')?.ip ?? null,
    ipv6: addressOf(project, server.id, 'ipv6')?.ip ?? null,
    ...{ userData: server.user_data, sshKeys: server.ssh_keys, rootPassword: server.root_password },
    inbound: inboundOf(project, server),
  }
}
