import type { CreateOptions, RepoOptions } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Defaults } from '../config/schema.ts'
import type { Session } from '../session.ts'
import { amountOfMoney, cloudOptions } from './cloud.ts'
import { addLeaseOptions, type LeaseFlags, leaseOptions } from './lease.ts'
import * as parse from './parse.ts'

/** The flags of `create` as commander gives them. */
export interface CreateFlags extends LeaseFlags {
  readonly name?: string
  readonly repo?: string
  readonly branch?: string
  readonly repoToken?: string
  readonly onFailure?: string
  readonly image?: string
  readonly setup?: string
  readonly shape?: string
  readonly size?: string
  readonly cpu?: string
  readonly memory?: string
  readonly disk?: string
  readonly env?: string[]
  readonly envFile?: string[]
  readonly user?: string
  readonly network?: string
  readonly allow?: string[]
  readonly deny?: string[]
  readonly isolation?: string
  readonly volume?: string[]
  readonly provider?: string
  readonly serverType?: string
  readonly location?: string
  readonly arch?: string
  readonly maxHourly?: string
  readonly maxCost?: string
  readonly cloudInit?: string
  readonly label?: string[]
  readonly fleet?: string
  readonly onPartial?: string
  readonly wait?: string
  readonly trace?: boolean
}

export const addCreateOptions = (command: Command): Command =>
  addLeaseOptions(
    command
      .option('--name <name>', 'a DNS label; made up when absent')
      .option('--repo <repo>', 'https, ssh or short address, or a directory here with its uncommitted work (--repo .)')
      .option('--branch <branch>', 'branch or tag to check out')
      .option('--repo-token <token>', 'for a private repository (GIBIL_REPO_TOKEN); "auto": what your git would use'),
  )
    .option('--on-failure <remedy>', 'restart, stop or destroy when it ends by itself or hangs (default restart)')
    .option('--image <image>', 'image to make it of (default base; vm of a vm)')
    .option(
      '--shape <shape>',
      'auto, container, microvm, vm or managed: a workstation (default auto: a container unless more is asked for)',
    )
    .option(
      '--setup <file>',
      'a script for bash, run as root before the repository comes; its result is kept for later boxes',
    )
    .option('--size <size>', 'small 2 cpu/4 GiB, medium 4/8, large 8/16')
    .option('--cpu <n>', 'cpus, such as 2 or 0.5')
    .option('--memory <amount>', 'such as 512M or 4G')
    .option('--disk <amount>', 'such as 10G')
    .option('--env <KEY=value>', 'environment of every command; repeat it for more', parse.collect)
    .option('--env-file <file>', 'the same, from a file with a KEY=value on each line', parse.collect)
    .option('--user <user>', 'default user of commands (default agent)')
    .option('--network <policy>', 'internet, lan or none (default internet)')
    .option('--deny <address>', 'an IPv4 address or network that it may not connect to; repeat it', parse.collect)
    .option('--allow <address>', 'one that it may, whatever is denied; repeat it', parse.collect)
    .option('--volume <name:/path>', 'a volume that it has, of a container; repeat it for more', parse.collect)
    .option('--provider <provider>', 'local: this machine, or hetzner (default local)')
    .option('--server-type <name>', 'of a cloud, such as cx33 (default: the cheapest that has the size)')
    .option('--location <name>', 'of a cloud, such as fsn1 (default: any)')
    .option('--arch <arch>', 'of a cloud: x86 or arm (default x86)')
    .option('--max-hourly <amount>', 'take nothing of a cloud that costs more per hour, such as 0.05')
    .option(
      '--max-cost <amount>',
      'refuse it if it would cost more than that until its lease ends, also later by extend',
    )
    .option('--cloud-init <file>', 'user data for cloud-init in a vm, 32 KiB at most; no place for secrets')
    .option('--isolation <kind>', 'namespaces, or gvisor where runsc is installed (default namespaces)')
    .option('--label <key=value>', 'a note for programs; repeat it for more', parse.collect)
    .option('--fleet <n>', 'make n boxes, called <name>-1 to <name>-n')
    .option(
      '--on-partial <remedy>',
      'keep or destroy those of a fleet that were made when others could not be (default keep)',
    )
    .option('--wait <state>', 'created, running or ready (default ready)')
    .option('--trace', 'show where the create spent its time')

/** Flags over the defaults of the config, checked as far as they can be checked here. */
export async function createOptions(
  flags: CreateFlags,
  defaults: Defaults,
  cli: Pick<Session, 'env' | 'cwd'>,
): Promise<CreateOptions> {
  const cpu = flags.cpu ?? defaults.cpu
  const memory = flags.memory ?? defaults.memory
  const disk = flags.disk ?? defaults.disk
  const onFailure = flags.onFailure ?? defaults.onFailure
  // A default for boxes of this machine is none for a cloud, which has full machines only.
  const shape = flags.shape ?? (flags.provider === undefined ? defaults.shape : undefined)
  const size = flags.size ?? defaults.size
  const provider = flags.provider ?? defaults.provider
  const network = flags.network ?? defaults.network
  const isolation = flags.isolation ?? defaults.isolation
  const fromFiles = await Promise.all((flags.envFile ?? []).map((file) => parse.environmentFile(file, cli.cwd)))
  const env = Object.assign({}, defaults.env, ...fromFiles, parse.environment(flags.env ?? [], cli.env))
  const labels = { ...defaults.labels, ...parse.labels(flags.label ?? []) }
  const repo = repoOptions(flags, cli)
  const options = {
    name: flags.name,
    image: flags.image ?? defaults.image,
    user: flags.user ?? defaults.user,
    ...leaseOptions(flags, defaults),
    cpu: cpu === undefined ? undefined : parse.cpus(String(cpu)),
    memoryMib: memory === undefined ? undefined : parse.mebibytes(String(memory)),
    diskMib: disk === undefined ? undefined : parse.mebibytes(String(disk)),
    onFailure:
      onFailure === undefined
        ? undefined
        : parse.oneOf(onFailure, ['restart', 'stop', 'destroy'], 'something that can happen after a failure'),
    shape:
      shape === undefined
        ? undefined
        : parse.oneOf(shape, ['auto', 'container', 'microvm', 'vm', 'managed'], 'a shape'),
    size: size === undefined ? undefined : parse.oneOf(size, ['small', 'medium', 'large'], 'a size', 'invalid_size'),
    network: network === undefined ? undefined : parse.oneOf(network, ['internet', 'lan', 'none'], 'a network policy'),
    egress: egressOptions(flags),
    isolation:
      isolation === undefined ? undefined : parse.oneOf(isolation, ['namespaces', 'gvisor'], 'a kind of isolation'),
    volumes: flags.volume?.map(parse.volumeMount),
    wait:
      flags.wait === undefined
        ? undefined
        : parse.oneOf(flags.wait, ['created', 'running', 'ready'], 'a state to wait for'),
    env: Object.keys(env).length > 0 ? env : undefined,
    labels: Object.keys(labels).length > 0 ? labels : undefined,
    repo,
    provider: provider === undefined ? undefined : parse.oneOf(provider, ['local', 'hetzner'], 'a provider'),
    maxCost: flags.maxCost === undefined ? undefined : amountOfMoney(flags.maxCost),
    setup: flags.setup === undefined ? undefined : await parse.scriptFile(flags.setup, cli.cwd),
    ...(await cloudOptions(flags, cli)),
  }
  return { ...withoutUndefined(options), ...defaultedOf(flags, defaults) }
}

/** Undefined: nothing was said of addresses. What they are is checked where boxes are made. */
export function egressOptions({ allow, deny }: Pick<CreateFlags, 'allow' | 'deny'>): CreateOptions['egress'] {
  return allow || deny ? { allow: allow ?? [], deny: deny ?? [] } : undefined
}

/** Which options come from the config alone: the `.gibil.yml` of a repository wins over those. */
function defaultedOf(flags: CreateFlags, defaults: Defaults): Pick<CreateOptions, 'defaulted'> {
  const names = { memory: 'memoryMib', disk: 'diskMib' } as const
  const fields = [
    'shape',
    'image',
    'size',
    'cpu',
    'memory',
    'disk',
    'ttl',
    'idle',
    'onExpire',
    'onIdle',
    'onFailure',
  ] as const
  const defaulted = fields
    .filter((field) => flags[field] === undefined && defaults[field] !== undefined)
    .map((field) => (field === 'memory' || field === 'disk' ? names[field] : field))
  return defaulted.length === 0 ? {} : { defaulted }
}

function repoOptions(flags: CreateFlags, cli: Pick<Session, 'env' | 'cwd'>): RepoOptions | undefined {
  if (flags.repo === undefined) return undefined
  // A token that lies in the environment was not meant for a connection that anyone can read.
  const ambient = /^http:/i.test(flags.repo) ? undefined : cli.env['GIBIL_REPO_TOKEN']
  return { source: flags.repo, branch: flags.branch, token: flags.repoToken ?? ambient, cwd: cli.cwd }
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

const withoutUndefined = <T extends object>(value: T): Defined<T> =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as Defined<T>
