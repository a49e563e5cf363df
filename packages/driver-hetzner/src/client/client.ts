import * as z from 'zod'
import { type Actions, createActions } from './actions.ts'
import type { Pace } from './pace.ts'
import {
  ApiAction,
  ApiFirewall,
  ApiImage,
  ApiPricing,
  ApiPrimaryIp,
  ApiServer,
  ApiServerType,
  ApiSshKey,
  ApiVolume,
  Meta,
} from './schemas.ts'
import { createTransport, type Transport, type TransportOptions } from './transport.ts'

type Labels = Readonly<Record<string, string>>
type Query = Readonly<Record<string, string | number | undefined>>

/** How a call may be cut short: by its caller, or after so long. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  readonly patienceMs?: number | undefined
}

interface NewServer {
  readonly name: string
  readonly server_type: string
  readonly location: string
  readonly image: number | string
  readonly ssh_keys: readonly number[]
  readonly firewalls: readonly { readonly firewall: number }[]
  readonly user_data: string
  readonly labels: Labels
  readonly public_net: { readonly enable_ipv4: boolean; readonly enable_ipv6: boolean }
}

export interface Rule {
  readonly direction: 'in' | 'out'
  readonly protocol: 'tcp' | 'icmp'
  readonly port?: string
  readonly source_ips: readonly string[]
  readonly description: string
}

/** What can be labelled, by the path and the key of the API. */
interface Labelled {
  readonly servers: ApiServer
  readonly images: ApiImage
  readonly ssh_keys: ApiSshKey
  readonly firewalls: ApiFirewall
  readonly primary_ips: ApiPrimaryIp
  readonly volumes: ApiVolume
}
export type Kind = keyof Labelled
export type Thing<K extends Kind> = Labelled[K]
const schemas: { readonly [K in Kind]: z.ZodType<Labelled[K]> } = {
  servers: ApiServer,
  images: ApiImage,
  ssh_keys: ApiSshKey,
  firewalls: ApiFirewall,
  primary_ips: ApiPrimaryIp,
  volumes: ApiVolume,
}

/** The calls of the Hetzner Cloud API that we make, one function each. Errors are those of the transport. */
export interface Client {
  readonly actions: Actions
  /** All pages. */
  list<K extends Kind>(kind: K, query: Query, options?: CallOptions): Promise<readonly Thing<K>[]>
  serverTypes(options?: CallOptions): Promise<readonly ApiServerType[]>
  pricing(options?: CallOptions): Promise<ApiPricing>
  server(id: number, options?: CallOptions): Promise<ApiServer>
  /** Replaces all labels of a thing. */
  label(kind: Kind, id: number, labels: Labels): Promise<void>
  /** What was begun by it must be waited for. */
  createServer(server: NewServer): Promise<{ readonly server: ApiServer; readonly actions: readonly ApiAction[] }>
  act(id: number, what: 'poweron' | 'poweroff' | 'shutdown'): Promise<ApiAction>
  createImage(
    server: number,
    image: { readonly description: string; readonly labels: Labels },
  ): Promise<{ readonly image: ApiImage; readonly action: ApiAction }>
  createSshKey(key: { readonly name: string; readonly public_key: string; readonly labels: Labels }): Promise<ApiSshKey>
  createFirewall(firewall: {
    readonly name: string
    readonly rules: readonly Rule[]
    readonly labels: Labels
  }): Promise<ApiFirewall>
  /** Of a server the action is under way when it returns. */
  remove(kind: Kind, id: number): Promise<readonly ApiAction[]>
}

const perPage = 50
const Nothing = z.unknown()

export function createClient(options: TransportOptions & { readonly pace: Pace }): Client {
  const transport = createTransport(options)
  const post = <T>(path: string, schema: z.ZodType<T>, body?: unknown): Promise<T> =>
    transport.call('POST', path, { schema, ...(body === undefined ? {} : { body }) })
  const actionOf = async (path: string, body?: unknown): Promise<ApiAction> =>
    (await post(path, z.object({ action: ApiAction }), body)).action

  return {
    actions: createActions(transport, options.pace),
    list: (kind, query, given = {}) => listAll(transport, `/${kind}`, kind, schemas[kind], query, given),
    serverTypes: (given = {}) => listAll(transport, '/server_types', 'server_types', ApiServerType, {}, given),
    async pricing(given = {}) {
      const schema = z.object({ pricing: ApiPricing })
      return (await transport.call('GET', '/pricing', { schema, ...given })).pricing
    },
    async server(id, given = {}) {
      const schema = z.object({ server: ApiServer })
      return (await transport.call('GET', `/servers/${id}`, { schema, ...given })).server
    },
    async label(kind, id, labels) {
      await transport.call('PUT', `/${kind}/${id}`, { schema: Nothing, body: { labels } })
    },
    async createServer(server) {
      const schema = z.object({ server: ApiServer, action: ApiAction, next_actions: z.array(ApiAction).nullish() })
      const made = await post('/servers', schema, { ...server, start_after_create: true })
      return { server: made.server, actions: [made.action, ...(made.next_actions ?? [])] }
    },
    act: (id, what) => actionOf(`/servers/${id}/actions/${what}`),
    async createImage(server, image) {
      const schema = z.object({ image: ApiImage, action: ApiAction })
      return post(`/servers/${server}/actions/create_image`, schema, { type: 'snapshot', ...image })
    },
    createSshKey: async (key) => (await post('/ssh_keys', z.object({ ssh_key: ApiSshKey }), key)).ssh_key,
    createFirewall: async (firewall) =>
      (await post('/firewalls', z.object({ firewall: ApiFirewall }), firewall)).firewall,
    async remove(kind, id) {
      const schema = z.object({ action: ApiAction.nullish() })
      const { action } = await transport.call('DELETE', `/${kind}/${id}`, { schema })
      return action ? [action] : []
    },
  }
}

async function listAll<T>(
  transport: Transport,
  path: string,
  key: string,
  schema: z.ZodType<T>,
  query: Query,
  options: CallOptions,
): Promise<readonly T[]> {
  const found: T[] = []
  for (let page: number | null = 1; page !== null; ) {
    const answer: Record<string, unknown> = await transport.call('GET', path, {
      query: { ...query, page, per_page: perPage, sort: 'id:asc' },
      schema: z.object({ [key]: z.array(schema), meta: Meta }),
      ...options,
    })
    found.push(...(answer[key] as T[]))
    page = Meta.parse(answer['meta']).pagination.next_page
  }
  return found
}
