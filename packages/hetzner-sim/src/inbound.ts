import type { Call } from './http/route.ts'
import type { Inbound } from './machines/admission.ts'
import type { Project, Server } from './model.ts'
import { firewallsOf } from './views.ts'

/** What the firewalls of a server let in; all when it has none. */
export function inboundOf(project: Project, server: Server): Inbound {
  const firewalls = firewallsOf(project, server)
  if (firewalls.length === 0) return null
  return firewalls.flatMap(({ rules }) =>
    rules
      .filter(({ direction }) => direction === 'in')
      .map(({ protocol, port, source_ips }) => ({ protocol, port, sources: source_ips })),
  )
}

/** What is under way for a project: what was read first must not be enforced last. */
const underWay = new WeakMap<Project, Promise<void>>()

/** Has all machines of the project let in what their firewalls say now, as after a change of rules, of what they hold for, or of labels. */
export function admitAll({ world, project }: Pick<Call, 'world' | 'project'>): Promise<void> {
  const before = underWay.get(project) ?? Promise.resolve()
  const work = before.then(async () => {
    for (const server of project.servers.values()) await world.machines.admit(server.id, inboundOf(project, server))
  })
  const over = work.catch(() => undefined)
  underWay.set(project, over)
  return work
}
