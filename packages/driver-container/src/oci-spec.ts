import type { Size } from '@gibil/contract'
import { boxCapabilities } from './capabilities.ts'
import type { ProcessLimits } from './process-limits.ts'
import { seccompProfile } from './seccomp.ts'

/** Host ids per box: enough for `nobody` and what useradd gives out. */
export const idsPerBox = 65_536
/** Where boxd is in a box. */
export const boxdPath = '/run/gibil/boxd'
/** Where boxd listens in a box that cannot inherit a socket. */
export const socketDirInBox = '/run/gibil/socket'
const cpuPeriodUs = 100_000

export interface OciInput {
  readonly hostname: string
  readonly rootfs: string
  readonly args: readonly string[]
  readonly boxdBinary: string
  readonly cgroupsPath: string
  readonly uidBase: number
  readonly size: Size
  readonly processes: ProcessLimits
  /** The daemon's own hard limit of open files, which it may have no right to exceed. */
  readonly openFiles: number
  /** Path of the network namespace to join; undefined: a new one with nothing but `lo`. */
  readonly netns: string | undefined
  readonly env: Readonly<Record<string, string>>
  /** As Node names it. */
  readonly arch: string
  /** Directories of the host that the box has. */
  readonly volumes?: readonly { readonly source: string; readonly path: string }[]
}

interface Mount {
  readonly destination: string
  readonly type: string
  readonly source: string
  readonly options: readonly string[]
}

/**
 * The little of sysfs that programs look for. A fresh sysfs cannot be mounted, since the host owns the network namespace, and
 * binding the host's would show the box every device, serial number and link of the host.
 */
const sysPaths = ['/sys/devices/system/cpu', '/sys/devices/system/node', '/sys/kernel/mm/transparent_hugepage']

const ownNetworkSettings = {
  'net.ipv4.ip_unprivileged_port_start': '0',
  'net.ipv4.ping_group_range': `0 ${idsPerBox - 1}`,
}

const maskedPaths = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kallsyms',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
]
/** On version 1, runc leaves the directory above the cgroup mounts a writable tmpfs without a size of its own. */
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger', '/sys/fs/cgroup']

const tmpfs = (destination: string, ...options: string[]): Mount => ({
  destination,
  type: 'tmpfs',
  source: 'tmpfs',
  options: ['nosuid', 'nodev', ...options],
})

const readonlyBind = (source: string, destination: string): Mount => ({
  destination,
  type: 'bind',
  source,
  options: ['bind', 'ro', 'nosuid', 'nodev'],
})

/**
 * The memory of every tmpfs counts to the box: pages of it are charged to the cgroup of whoever writes them. Full, they leave the box
 * enough to run boxd and a shell with which to empty them.
 */
function mounts(input: OciInput, exists: (path: string) => boolean): Mount[] {
  const share = (part: number): string => `size=${Math.max(1, Math.floor(input.size.memoryMib * part))}m`
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    tmpfs('/dev', 'strictatime', 'mode=755', 'size=1m'),
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    tmpfs('/dev/shm', 'noexec', 'mode=1777', share(0.5)),
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    tmpfs('/sys', 'noexec', 'ro', 'mode=555', 'size=64k'),
    ...sysPaths.filter(exists).map((path): Mount => {
      const bind = readonlyBind(path, path)
      return { ...bind, options: [...bind.options, 'noexec'] }
    }),
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: ['ro', 'nosuid', 'noexec', 'nodev', 'relatime'],
    },
    tmpfs('/run', 'mode=755', share(0.1)),
    readonlyBind(input.boxdBinary, boxdPath),
    ...(input.volumes ?? []).map(
      ({ source, path }): Mount => ({
        destination: path,
        type: 'bind',
        source,
        options: ['bind', 'rw', 'nosuid', 'nodev', 'noatime'],
      }),
    ),
  ]
}

export type OciSpec = ReturnType<typeof ociSpec>

/** The OCI runtime configuration (specification 1.0.2) of one box. `exists` says whether a path is on this host. */
export function ociSpec(input: OciInput, exists: (path: string) => boolean) {
  const bytes = input.size.memoryMib * 1024 * 1024
  const mapping = [{ containerID: 0, hostID: input.uidBase, size: idsPerBox }]
  return {
    ociVersion: '1.0.2',
    hostname: input.hostname,
    root: { path: input.rootfs, readonly: false },
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: input.args,
      cwd: '/',
      env: Object.entries({
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        ...input.env,
      }).map(([name, value]) => `${name}=${value}`),
      capabilities: {
        bounding: boxCapabilities,
        effective: boxCapabilities,
        permitted: boxCapabilities,
      },
      // sudo in the box has to work: programs may gain the powers of the box's root, which are none over the host.
      noNewPrivileges: false,
      // When the host runs out of memory, boxes go before its own services; boxd gives commands a higher value than this one.
      oomScoreAdj: 300,
      rlimits: [
        {
          type: 'RLIMIT_NOFILE',
          soft: Math.min(65_536, input.openFiles),
          hard: Math.min(524_288, input.openFiles),
        },
        { type: 'RLIMIT_NPROC', soft: input.processes.user, hard: input.processes.user },
        { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
      ],
    },
    mounts: mounts(input, exists),
    linux: {
      namespaces: [
        { type: 'user' },
        { type: 'pid' },
        { type: 'mount' },
        { type: 'ipc' },
        { type: 'uts' },
        { type: 'cgroup' },
        input.netns === undefined ? { type: 'network' } : { type: 'network', path: input.netns },
      ],
      // A network namespace of the box's own, which the runtime makes, lacks what hostkit sets in one that it makes.
      ...(input.netns === undefined ? { sysctl: ownNetworkSettings } : {}),
      uidMappings: mapping,
      gidMappings: mapping,
      cgroupsPath: input.cgroupsPath,
      resources: {
        devices: [{ allow: false, access: 'rwm' }],
        cpu: {
          shares: Math.max(2, Math.round(input.size.cpu * 1024)),
          quota: Math.max(1000, Math.round(input.size.cpu * cpuPeriodUs)),
          period: cpuPeriodUs,
        },
        // Memory and swap together have the same limit as memory alone: a box does not swap.
        memory: { limit: bytes, swap: bytes },
        pids: { limit: input.processes.box },
      },
      seccomp: seccompProfile(input.arch),
      maskedPaths,
      readonlyPaths,
    },
  }
}
