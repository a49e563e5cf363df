/** The box as every door sees it. These schemas define the API; types, OpenAPI and `--json` come from them. */
import * as z from 'zod'
import { Cloud, CloudWish, maxCloudInitBytes } from './cloud.ts'
import { BoxCost } from './cost.ts'
import { Egress } from './egress.ts'
import { Amount } from './price.ts'
import { Activity, PublishedPort } from './published-port.ts'
import { VolumeMount } from './volume.ts'

export const Shape = z.enum(['container', 'microvm', 'vm'])
export type Shape = z.infer<typeof Shape>

/** `managed`, a preset, stands for a vm of the image workstation. */
export const ShapeOrPreset = z.enum([...Shape.options, 'managed'])
/** `auto`: what is asked for decides. */
const ShapeWish = z.enum(['auto', ...ShapeOrPreset.options])

export const Provider = z.enum(['local', 'hetzner'])
export type Provider = z.infer<typeof Provider>

/** How the box is: what the host says, not how far its set-up has come (that is `readiness`). */
export const Status = z.enum(['creating', 'running', 'paused', 'stopped', 'destroying', 'destroyed', 'failed'])
export type Status = z.infer<typeof Status>

/** How far the set-up of the box has come. */
export const Readiness = z.enum(['creating', 'cloning', 'services', 'tasks', 'ready', 'failed'])
export type Readiness = z.infer<typeof Readiness>

export const OnExpire = z.enum(['destroy', 'stop', 'pause'])
export type OnExpire = z.infer<typeof OnExpire>

/** What happens when a box ends by itself, as by a panic of its kernel, or hangs: it starts again on its disk, stays as it is, or goes. */
export const OnFailure = z.enum(['restart', 'stop', 'destroy'])
export type OnFailure = z.infer<typeof OnFailure>

/** Where a box may connect to: the public internet, private networks too, or nowhere. Never the host or another box. */
export const NetworkPolicy = z.enum(['internet', 'lan', 'none'])
export type NetworkPolicy = z.infer<typeof NetworkPolicy>

/**
 * What is between a container and the host's kernel: `namespaces` alone (and seccomp), or `gvisor`, a kernel of its own in user space that
 * takes every system call.
 */
export const Isolation = z.enum(['namespaces', 'gvisor'])
export type Isolation = z.infer<typeof Isolation>

/** A DNS label (RFC 1123) that starts with a letter. */
export const BoxName = z.string().regex(/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/)

/** 16 TiB: the largest ext4 file system of 4 KiB blocks with 32-bit block numbers, and more memory than any host has. */
const largestMib = 16 * 1024 * 1024

export const Size = z.object({
  cpu: z.number().min(0.1).max(256).describe('vCPUs; fractions are allowed for a container'),
  memoryMib: z.int().min(16).max(largestMib).describe('memory limit in MiB'),
  diskMib: z.int().min(64).max(largestMib).describe('disk limit in MiB'),
})
export type Size = z.infer<typeof Size>

export const sizePresets = {
  small: { cpu: 2, memoryMib: 4096, diskMib: 10_240 },
  medium: { cpu: 4, memoryMib: 8192, diskMib: 20_480 },
  large: { cpu: 8, memoryMib: 16_384, diskMib: 40_960 },
} as const satisfies Record<string, Size>
export const SizePreset = z.enum(['small', 'medium', 'large'])

export const Lease = z.object({
  ttlSeconds: z.number().positive().nullable().describe('null: lives until destroyed'),
  expiresAt: z.iso.datetime().nullable(),
  idleSeconds: z.number().positive().nullable().describe('idle after so long without connections, commands or work'),
  onExpire: OnExpire.describe('at the end of the TTL'),
  onIdle: OnExpire.describe('when the idle limit has passed'),
  deadlineAtProvider: z
    .enum(['same', 'pending'])
    .nullable()
    .describe(
      'whether its provider knows the end of the lease too; pending: it is told again until it does; null: nobody else ends it',
    ),
})
export type Lease = z.infer<typeof Lease>

/** What keeps a box from being idle: its set-up, an open connection, a command, or more than 5 % of a processor since the last look. */
export const AwakeReason = z.enum(['setup', 'connection', 'command', 'cpu'])
export type AwakeReason = z.infer<typeof AwakeReason>

export const Awake = z.object({
  because: z
    .array(AwakeReason)
    .describe(
      'as of the last look, at most a minute ago; commands and work are looked for only where there is an idle limit',
    ),
  since: z.iso.datetime().nullable().describe('without a pause since then; null: nothing keeps it awake'),
  idleEndsAt: z.iso.datetime().nullable().describe('when its idle limit has passed, if nothing happens until then'),
})
export type Awake = z.infer<typeof Awake>

export const Failure = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string(),
  step: z.string().optional().describe('the step that failed, such as "clone" or "task test"'),
  log: z.string().optional().describe('the end of its output, 4 KiB at most'),
})
export type Failure = z.infer<typeof Failure>

export const Repo = z.object({
  source: z.string().describe('as given, without credentials'),
  branch: z.string().optional(),
  commit: z.string().optional().describe('the commit checked out, once cloned'),
  path: z.string().describe('where it is in the box'),
})
export type Repo = z.infer<typeof Repo>

export const PhaseTime = z.object({ phase: z.string(), ms: z.number() })
export type PhaseTime = z.infer<typeof PhaseTime>

export const Box = z.object({
  id: z.string(),
  name: BoxName,
  shape: Shape,
  chosenBecause: z.array(z.string()).nullable().describe('why it has this shape; null: somebody named it'),
  provider: Provider,
  image: z.string(),
  size: Size,
  status: Status,
  readiness: Readiness,
  failure: Failure.nullable(),
  onFailure: OnFailure,
  unresponsiveSince: z.iso
    .datetime()
    .nullable()
    .describe('it runs, but its boxd has not answered since; of shapes whose driver asks'),
  waitsFor: z
    .string()
    .nullable()
    .describe('what a box that does not answer waits for; it goes on by itself once that is there'),
  user: z.string(),
  envNames: z.array(z.string()).describe('names only; values are not given back'),
  labels: z.record(z.string(), z.string()),
  fleet: z.string().nullable(),
  owner: z
    .string()
    .nullable()
    .describe('null: your own; else the token that made it, and `<name>@<owner>` is how to name it'),
  network: NetworkPolicy,
  egress: Egress.describe('addresses that it may, or may not, connect to within that'),
  isolation: Isolation,
  volumes: z.array(VolumeMount).describe('what it has in common with other boxes'),
  address: z.string().nullable().describe("the box's address on the host's private network"),
  cloud: Cloud.nullable().describe('what it is at its provider; null: it is on this machine, or is not made yet'),
  cost: BoxCost.nullable().describe('null: nothing was billed for it'),
  ports: z.array(z.int()).describe('ports that .gibil.yml declares'),
  published: z.array(PublishedPort).describe('ports with an address of their own, by number'),
  repo: Repo.nullable(),
  lease: Lease,
  parent: z.string().nullable().describe('id of the snapshot that its state last came from'),
  createdAt: z.iso.datetime(),
  startedAt: z.iso.datetime().nullable(),
  lastActiveAt: z.iso.datetime().nullable(),
  activity: Activity,
  awake: Awake.nullable().describe('null: it does not run'),
  timings: z.array(PhaseTime).describe('how long each phase of create took'),
})
export type Box = z.infer<typeof Box>

export const Wait = z.enum(['created', 'running', 'ready'])
export type Wait = z.infer<typeof Wait>

/** A duration such as `90m`, or a number of minutes. */
export const DurationInput = z.union([z.string(), z.number()])

export const RepoInput = z.object({
  url: z.string().optional().describe('https address to clone inside the box'),
  upload: z.boolean().optional().describe('true: the caller sends the tree with PUT /v1/boxes/{box}/repo'),
  branch: z.string().optional(),
  token: z.string().optional().describe('for a private repository; used for the clone only and never stored'),
  source: z.string().optional().describe('what to show as the source of an upload'),
  config: z
    .string()
    .max(256 * 1024)
    .optional()
    .describe('the text of its .gibil.yml, when the caller has it: an upload is sent to a box that is made already'),
})
export type RepoInput = z.infer<typeof RepoInput>

const createFields = {
  shape: ShapeWish.optional().describe(
    'default auto: a container unless what is asked for needs more; managed: a vm of the image workstation, 4 vCPU, 16 GiB, 30 GiB',
  ),
  provider: Provider.optional().describe('default local'),
  cloud: CloudWish.optional().describe('of a provider that is not this machine'),
  maxCost: Amount.optional().describe(
    'of a cloud: refuse it if it would cost more than that until its lease ends, now or when it is extended; net',
  ),
  cloudInit: z
    .string()
    .max(maxCloudInitBytes)
    .optional()
    .describe(
      'user data for cloud-init in a vm, beside what Gibil needs itself; readable in the box, so no place for secrets',
    ),
  image: z.string().optional(),
  setup: z
    .string()
    .max(64 * 1024)
    .optional()
    .describe(
      'a script for bash, run as root in a new box before its repository comes; what it made is kept, and the next box with the same script and image begins with it',
    ),
  size: SizePreset.optional(),
  cpu: z.number().positive().optional(),
  memoryMib: z.int().positive().optional(),
  diskMib: z.int().positive().optional(),
  ttl: DurationInput.optional().describe('default 60m; "none" where the shape allows it'),
  idle: DurationInput.optional(),
  onExpire: OnExpire.optional().describe('at the end of the TTL; default destroy'),
  onIdle: OnExpire.optional().describe('when the idle limit has passed; default pause where the shape can, else stop'),
  onFailure: OnFailure.optional().describe('when it ends by itself or hangs; default restart'),
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string()).optional(),
  user: z.string().optional().describe('default user of commands: agent'),
  network: NetworkPolicy.optional(),
  egress: Egress.optional().describe('of a box on this machine; default all that its network policy lets it'),
  isolation: Isolation.optional().describe('of a container; default namespaces'),
  volumes: z.array(VolumeMount).max(16).optional().describe('of a container in namespaces: volumes that it has'),
  labels: z.record(z.string(), z.string()).optional(),
  repo: RepoInput.optional(),
  defaulted: z
    .array(
      z.enum([
        'shape',
        'image',
        'size',
        'cpu',
        'memoryMib',
        'diskMib',
        'ttl',
        'idle',
        'onExpire',
        'onIdle',
        'onFailure',
      ]),
    )
    .optional()
    .describe(
      "fields of this request that are the caller's defaults and no wish for this box: a .gibil.yml wins over them",
    ),
}

export const CreateBox = z.strictObject({
  name: z.string().optional().describe('a DNS label; made up when absent'),
  ...createFields,
  wait: Wait.optional().describe('how far to wait before answering; default ready'),
})
export type CreateBox = z.infer<typeof CreateBox>

export const CreateFleet = z.strictObject({
  name: z.string().optional().describe('boxes are called <name>-1 … <name>-N'),
  count: z.int().min(1).max(500),
  ...createFields,
  wait: Wait.optional(),
  onPartial: z
    .enum(['keep', 'destroy'])
    .optional()
    .describe('what becomes of the boxes that were made when others could not be; default keep'),
})
export type CreateFleet = z.infer<typeof CreateFleet>

export const Fleet = z.object({
  id: z.string(),
  boxes: z.array(Box),
  failures: z.array(z.object({ name: z.string(), failure: Failure })),
})
export type Fleet = z.infer<typeof Fleet>

export const ExtendBox = z.strictObject({
  ttl: DurationInput.describe('the new time to live, counted from now; "none" where the shape allows it'),
})

/** How a box is stopped; in the API a parameter of the query. */
export interface StopBox {
  /** Of a cloud: keep it as a snapshot and give its machine back, since one that is off is billed as one that is on. */
  readonly snapshot?: boolean | undefined
}

export const RestartBox = z.strictObject({
  force: z.boolean().optional().describe('end it at once, without asking its processes to end'),
  fresh: z.boolean().optional().describe('make its disk anew from the image: what is on it is lost'),
})
export type RestartBox = z.infer<typeof RestartBox>

export const ConsoleText = z.object({ text: z.string().describe('64 KiB at most; any bytes that the box chose') })
export type ConsoleText = z.infer<typeof ConsoleText>
