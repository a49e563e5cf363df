import { randomBytes } from 'node:crypto'
import * as z from 'zod'
import { endCharge } from '../billing.ts'
import { isProtected, locked } from '../errors.ts'
import { list } from '../http/list.ts'
import { bodyOf, type Call, created, ok, type Route, recordOf } from '../http/route.ts'
import { admitAll } from '../inbound.ts'
import { labels } from '../labels.ts'
import type { Server } from '../model.ts'
import { actionView, serverView } from '../views.ts'
import { checkName, rewrite } from './common.ts'
import { createServer, serverName } from './create-server.ts'
import { dropAddress } from './primary-ips.ts'

const changeBody = z.object({ name: serverName.optional(), labels: labels.optional() })

const serverOf = (call: Call): Server => recordOf(call, call.project.servers, 'server')

/** The server that the path names; throws 423 while an action runs on it. */
export function unlockedServerOf(call: Call): Server {
  const server = serverOf(call)
  if (call.world.actions.isLocked(server.id)) throw locked('server')
  return server
}

export const newPassword = (): string => randomBytes(15).toString('base64url')

export const serverRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/servers',
    handle: (call) =>
      list(call, {
        field: 'servers',
        records: call.project.servers.values(),
        view: (server) => serverView(call.world, call.project, server),
        filters: { name: ({ name }) => name, status: ({ status }) => status },
        sorts: { name: ({ name }) => name, created: (server) => server.created },
      }),
  },
  {
    method: 'POST',
    path: '/servers',
    handle: (call) => {
      const { server, rootPassword, action, next } = createServer(call)
      return created({
        server: serverView(call.world, call.project, server),
        action: actionView(call.world, action),
        next_actions: next.map((each) => actionView(call.world, each)),
        root_password: rootPassword,
      })
    },
  },
  {
    method: 'GET',
    path: '/servers/:id',
    handle: (call) => ok({ server: serverView(call.world, call.project, serverOf(call)) }),
  },
  {
    method: 'PUT',
    path: '/servers/:id',
    handle: (call) => {
      const server = serverOf(call)
      const change = bodyOf(call, changeBody)
      if (change.name !== undefined) checkName(call.project.servers, change.name, 'server', server)
      rewrite(server, change)
      // A firewall may hold for all that have a label. Nobody is told when it does.
      void admitAll(call).catch(() => undefined)
      call.world.changed()
      return ok({ server: serverView(call.world, call.project, server) })
    },
  },
  {
    method: 'DELETE',
    path: '/servers/:id',
    handle: (call) => {
      const { world, project } = call
      const server = unlockedServerOf(call)
      if (server.protection.delete) throw isProtected('server')
      const before = server.status
      server.status = 'deleting'
      const action = world.actions.begin({
        ...{ project, command: 'delete_server', locks: server.id },
        resources: [{ id: server.id, type: 'server' }],
        work: () => world.machines.remove(server.id),
        done: () => forgetServer(call, server),
        failed: () => {
          server.status = before
        },
      })
      return ok({ action: actionView(world, action) })
    },
  },
  {
    method: 'GET',
    path: '/servers/:id/metrics',
    handle: (call) => {
      serverOf(call)
      const [start, end] = [call.query.get('start'), call.query.get('end')]
      return ok({ metrics: { start, end, step: 60, time_series: {} } })
    },
  },
]

/** A server is gone: what was made with it too, and what was not is free again. */
export function forgetServer({ world, project }: Pick<Call, 'world' | 'project'>, { id }: Server): void {
  project.servers.delete(id)
  endCharge(project, world.now(), 'server', id)
  for (const ip of project.primary_ips.values()) {
    if (ip.assignee_id !== id) continue
    if (ip.auto_delete) dropAddress(world, project, ip)
    else ip.assignee_id = null
  }
  for (const volume of project.volumes.values()) {
    if (volume.server === id) volume.server = null
  }
  for (const firewall of project.firewalls.values()) {
    firewall.applied_to = firewall.applied_to.filter((target) => target.type !== 'server' || target.server.id !== id)
  }
  world.changed()
}
