/**
 * What a project holds, in the words of the API. A record is what the API shows of a resource without what follows from
 * others (a server's firewalls, whether it is locked); `views.ts` adds that. The schemas read the state file.
 */
import * as z from 'zod'
import { labels } from './labels.ts'

const id = z.int().positive()
const common = { id, name: z.string(), labels, created: z.string() }
const protection = z.object({ delete: z.boolean() })

const action = z.object({
  id,
  command: z.string(),
  status: z.enum(['running', 'success', 'error']),
  started: z.string(),
  finished: z.string().nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  resources: z.array(z.object({ id, type: z.string() })),
  /** Unix milliseconds at which it is expected to end, from which its progress follows. */
  expected: z.number(),
})

const sshKey = z.object({ ...common, fingerprint: z.string(), public_key: z.string() })

const server = z.object({
  ...common,
  status: z.enum([
    'initializing',
    'starting',
    'running',
    'stopping',
    'off',
    'deleting',
    'rebuilding',
    'migrating',
    'unknown',
  ]),
  server_type: z.string(),
  location: z.string(),
  image: id.nullable(),
  protection: z.object({ delete: z.boolean(), rebuild: z.boolean() }),
  private_net: z.array(
    z.object({ network: id, ip: z.string(), alias_ips: z.array(z.string()), mac_address: z.string() }),
  ),
  placement_group: id.nullable(),
  primary_disk_size: z.number(),
  rescue_enabled: z.boolean(),
  backup_window: z.string().nullable(),
  user_data: z.string(),
  /** Public keys, as they were when it was made: later changes of the project's keys do not reach a server. */
  ssh_keys: z.array(z.string()),
  /** SHA-512 crypt is the machine's work; null when it was made with keys. */
  root_password: z.string().nullable(),
})

const primaryIp = z.object({
  ...common,
  type: z.enum(['ipv4', 'ipv6']),
  ip: z.string(),
  location: z.string(),
  assignee_id: id.nullable(),
  auto_delete: z.boolean(),
  blocked: z.boolean(),
  dns_ptr: z.array(z.object({ ip: z.string(), dns_ptr: z.string() })),
  protection,
})

const image = z.object({
  id,
  type: z.enum(['system', 'app', 'snapshot', 'backup']),
  status: z.enum(['available', 'creating', 'unavailable']),
  name: z.string().nullable(),
  description: z.string(),
  image_size: z.number().nullable(),
  disk_size: z.number(),
  created: z.string(),
  created_from: z.object({ id, name: z.string() }).nullable(),
  bound_to: id.nullable(),
  os_flavor: z.string(),
  os_version: z.string().nullable(),
  rapid_deploy: z.boolean(),
  protection,
  deprecated: z.string().nullable(),
  deleted: z.string().nullable(),
  labels,
  architecture: z.enum(['x86', 'arm']),
})

const rule = z.object({
  direction: z.enum(['in', 'out']),
  protocol: z.enum(['tcp', 'udp', 'icmp', 'esp', 'gre']),
  port: z.string().nullable(),
  source_ips: z.array(z.string()),
  destination_ips: z.array(z.string()),
  description: z.string().nullable(),
})

const target = z.union([
  z.object({ type: z.literal('server'), server: z.object({ id }) }),
  z.object({ type: z.literal('label_selector'), label_selector: z.object({ selector: z.string() }) }),
])

const firewall = z.object({ ...common, rules: z.array(rule), applied_to: z.array(target) })

const subnet = z.object({
  type: z.enum(['cloud', 'server', 'vswitch']),
  ip_range: z.string(),
  network_zone: z.string(),
  gateway: z.string(),
})
const route = z.object({ destination: z.string(), gateway: z.string() })
const network = z.object({
  ...common,
  ip_range: z.string(),
  subnets: z.array(subnet),
  routes: z.array(route),
  protection,
  expose_routes_to_vswitch: z.boolean(),
})

const volume = z.object({
  ...common,
  size: z.number(),
  location: z.string(),
  server: id.nullable(),
  status: z.enum(['creating', 'available']),
  format: z.string().nullable(),
  protection,
})

const placementGroup = z.object({ ...common, type: z.literal('spread') })

/** Something that costs money, from when to when. Unix milliseconds; prices are net, in euros. */
const charge = z.object({
  kind: z.enum(['server', 'primary_ip', 'image', 'volume']),
  id,
  what: z.string(),
  from: z.number(),
  until: z.number().nullable(),
  hourly: z.string().nullable(),
  monthly: z.string(),
})

const table = <T extends z.ZodType<{ id: number }>>(record: T) =>
  z.array(record).transform((records) => new Map(records.map((each) => [each.id, each])))

export const projectSchema = z.object({
  actions: table(action),
  ssh_keys: table(sshKey),
  servers: table(server),
  primary_ips: table(primaryIp),
  /** Snapshots and backups; the images of the system are the same for all. */
  images: table(image),
  firewalls: table(firewall),
  networks: table(network),
  volumes: table(volume),
  placement_groups: table(placementGroup),
  charges: z.array(charge),
})

export type Project = z.infer<typeof projectSchema>
export type Action = z.infer<typeof action>
export type SshKey = z.infer<typeof sshKey>
export type Server = z.infer<typeof server>
export type PrimaryIp = z.infer<typeof primaryIp>
export type Image = z.infer<typeof image>
export type Firewall = z.infer<typeof firewall>
export type FirewallTarget = z.infer<typeof target>
export type Network = z.infer<typeof network>
export type Volume = z.infer<typeof volume>
export type PlacementGroup = z.infer<typeof placementGroup>
export type Charge = z.infer<typeof charge>

export const emptyProject = (): Project => ({
  actions: new Map(),
  ssh_keys: new Map(),
  servers: new Map(),
  primary_ips: new Map(),
  images: new Map(),
  firewalls: new Map(),
  networks: new Map(),
  volumes: new Map(),
  placement_groups: new Map(),
  charges: [],
})
