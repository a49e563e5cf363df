import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { createActions, timeOf } from './actions.ts'
import { createFaults, type Faults } from './faults.ts'
import { mountAdmin } from './http/admin.ts'
import { createApp, type Seen } from './http/app.ts'
import { noMachines } from './machines/none.ts'
import type { Machines } from './machines/port.ts'
import { emptyProject, type Project } from './model.ts'
import { type Bucket, createBucket } from './rate-limit.ts'
import { routes } from './resources/routes.ts'
import { forgetServer } from './resources/servers.ts'
import { createSaver, readState, type State, writeState } from './state-file.ts'
import type { Token, World } from './world.ts'

interface TokenOption {
  readonly token: string
  /** Tokens of different projects see nothing of each other. */
  readonly project?: string
  readonly access?: 'read' | 'read_write'
}

export interface SimOptions {
  /** On 127.0.0.1; 0, the default, takes one that is free. */
  readonly port?: number | undefined
  /** The token of the project `default`; made up when there is none. */
  readonly token?: string | undefined
  /** More tokens, of this project or others. */
  readonly tokens?: readonly TokenOption[] | undefined
  /** A file that keeps the state over a restart. Without it, all is gone in the end. */
  readonly stateFile?: string | undefined
  /** How long an action takes at least, in milliseconds; by default 500. */
  readonly actionMs?: number | undefined
  /** Requests an hour; by default 3600. */
  readonly rateLimit?: number | undefined
  /** What stands behind servers; by default nothing. */
  readonly machines?: Machines | undefined
  /** Unix milliseconds; by default those of this host. */
  readonly now?: (() => number) | undefined
}

export interface Sim {
  /** The endpoint, with `/v1`: what HCLOUD_ENDPOINT takes. */
  readonly url: string
  readonly token: string
  readonly faults: Faults
  /** What is there: resources, user data and charges. For looking, and for what happens behind a client's back. */
  readonly state: { project(name?: string): Project }
  /** Requests since the start, the last 10 000 of them. */
  readonly requests: readonly Seen[]
  /** Leaves so many requests in the bucket of a project. */
  drainRateLimit(left: number, project?: string): void
  /** When all actions that run now have ended. */
  settled(): Promise<void>
  /** Ends the server; actions that run end at once. Machines that run go on. */
  close(): Promise<void>
}

const mostRequests = 10_000
const firstProject = 'default'

/** Starts a simulator in this process. Throws when the port is taken or the state file cannot be read. */
export async function startSim(options: SimOptions = {}): Promise<Sim> {
  const { now = Date.now, machines = noMachines(), stateFile, rateLimit = 3600, actionMs = 500 } = options
  const kept = stateFile === undefined ? undefined : await readState(stateFile)
  const state: State = {
    lastId: kept?.lastId ?? 100_000_000,
    token: options.token ?? kept?.token ?? randomBytes(32).toString('hex'),
    projects: kept?.projects ?? new Map(),
  }
  const saver = createSaver(async () => {
    if (stateFile !== undefined) await writeState(stateFile, state)
  })
  const changed = stateFile === undefined ? () => undefined : () => saver.changed()
  const project = (name: string): Project => {
    const found = state.projects.get(name) ?? emptyProject()
    state.projects.set(name, found)
    return found
  }
  const buckets = new Map<string, Bucket>()
  const bucket = (name: string): Bucket => {
    const found = buckets.get(name) ?? createBucket(now, rateLimit, rateLimit / 3600)
    buckets.set(name, found)
    return found
  }
  const tokens = new Map<string, Token>()
  for (const each of [{ token: state.token }, ...(options.tokens ?? [])] satisfies TokenOption[]) {
    const { token, project: name = firstProject, access = 'read_write' }: TokenOption = each
    tokens.set(token, { project: project(name), bucket: bucket(name), access })
  }

  const faults = createFaults()
  const nextId = (): number => {
    state.lastId += 1
    return state.lastId
  }
  const actions = createActions({ now, faults, actionMs, nextId, changed })
  const freeIpv4 = (): string => {
    const all = [...state.projects.values()].flatMap(({ primary_ips }) => [...primary_ips.values()])
    return machines.freeIpv4(new Set(all.map(({ ip }) => ip)))
  }
  const world: World = { now, tokens, faults, actions, machines, nextId, freeIpv4, changed }
  await resume(world, state)
  machines.onOff((id) => {
    for (const { servers } of state.projects.values()) {
      const server = servers.get(id)
      if (server && (server.status === 'running' || server.status === 'stopping')) server.status = 'off'
    }
    changed()
  })

  const requests: Seen[] = []
  const seen = (request: Seen): void => {
    requests.push(request)
    if (requests.length > mostRequests) requests.shift()
  }
  const app = createApp({ world, routes, seen })
  mountAdmin(app, { world, faults, requests: () => requests })
  const server = createServer(getRequestListener(app.fetch))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port: options.port ?? 0 }, resolve)
  })

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    token: state.token,
    faults,
    state: { project: (name = firstProject) => project(name) },
    requests,
    drainRateLimit: (left, name = firstProject) => bucket(name).drainTo(left),
    settled: () => actions.settled(),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
      actions.hurry()
      await actions.settled()
      await machines.close()
      if (stateFile !== undefined) await saver.flush()
    },
  }
}

/** What was cut off with the simulator of before: its actions failed, and servers are what their machines are. */
async function resume(world: World, { projects }: State): Promise<void> {
  for (const project of projects.values()) {
    for (const action of project.actions.values()) {
      if (action.status !== 'running') continue
      const error = { code: 'action_failed', message: 'the simulator was restarted' }
      Object.assign(action, { status: 'error', finished: timeOf(world.now()), error })
    }
    for (const [id, image] of project.images) {
      if (image.status === 'creating') project.images.delete(id)
    }
    for (const server of [...project.servers.values()]) {
      if (server.status === 'deleting') {
        await world.machines.remove(server.id)
        forgetServer({ world, project }, server)
      } else {
        const runs = await world.machines.isRunning(server.id, server.status === 'running')
        server.status = runs ? 'running' : 'off'
      }
    }
  }
}
