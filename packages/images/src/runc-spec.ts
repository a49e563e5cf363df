import { existsSync } from 'node:fs'
import type { BuildNetwork, BuildStep } from './build-runner.ts'
import { buildSeccomp } from './seccomp.ts'
import type { IdRange } from './shift-tree.ts'

/** What Docker leaves to a container but for making device nodes: enough for package managers. */
const usual = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_NET_BIND_SERVICE',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
]

/**
 * Programs whose file capabilities include raw packets (ping) do not start without it. It is nothing in a network that the step's
 * user namespace does not own, and too much in the host's own.
 */
const capabilitiesFor = (network: BuildNetwork, inUserNamespace: boolean): string[] =>
  network.kind === 'host' && !inUserNamespace ? usual : [...usual, 'CAP_NET_RAW']

const maskedPaths = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/sys/firmware',
  '/sys/fs/cgroup',
  '/sys/kernel/debug',
]

const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

const networkNamespace = (network: BuildNetwork): { type: string; path?: string }[] => {
  if (network.kind === 'host') return []
  return [network.kind === 'namespace' ? { type: 'network', path: network.path } : { type: 'network' }]
}

interface Bind {
  readonly source: string
  readonly target: string
  readonly executable?: boolean
  readonly writable?: boolean
}

const bind = ({ source, target, executable, writable }: Bind) => ({
  destination: target,
  source,
  type: 'bind',
  options: ['bind', writable ? 'rw' : 'ro', 'nosuid', 'nodev', ...(executable ? [] : ['noexec'])],
})

const sysPaths = ['/sys/devices/system/cpu', '/sys/devices/system/node']

/**
 * A new sysfs belongs to whoever owns the network namespace, which the root of a user namespace does not: it gets the little
 * that build tools look for.
 */
const sysMounts = (inUserNamespace: boolean) => {
  const options = ['nosuid', 'noexec', 'nodev', 'ro']
  if (!inUserNamespace) return [{ destination: '/sys', source: 'sysfs', type: 'sysfs', options }]
  const binds = sysPaths.filter((path) => existsSync(path)).map((path) => bind({ source: path, target: path }))
  return [
    { destination: '/sys', source: 'tmpfs', type: 'tmpfs', options: [...options, 'mode=555', 'size=64k'] },
    ...binds,
  ]
}

export interface SpecOptions {
  readonly step: BuildStep
  readonly rootfs: string
  readonly cgroup: string
  readonly arch: string
  readonly binds: readonly Bind[]
  /** Ids of the step shifted by so much on the host; absent: no user namespace. */
  readonly userNamespace?: IdRange | undefined
}

/** The OCI runtime configuration of one build step (opencontainers/runtime-spec 1.0.2). */
export const buildSpec = ({ step, rootfs, cgroup, arch, binds, userNamespace }: SpecOptions) => {
  const capabilities = capabilitiesFor(step.network, userNamespace !== undefined)
  const mapping = userNamespace && [{ containerID: 0, hostID: userNamespace.base, size: userNamespace.count }]
  return {
    ociVersion: '1.0.2',
    hostname: 'build',
    root: { path: rootfs, readonly: false },
    process: {
      terminal: false,
      user: { uid: step.user.uid, gid: step.user.gid, umask: 0o022, additionalGids: [...step.user.groups] },
      args: [...step.argv],
      env: Object.entries(step.env).map(([name, value]) => `${name}=${value}`),
      cwd: step.cwd,
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
        inheritable: [],
        ambient: [],
      },
      rlimits: [{ type: 'RLIMIT_CORE', soft: 0, hard: 0 }],
      noNewPrivileges: false,
      oomScoreAdj: 500,
    },
    mounts: [
      { destination: '/proc', source: 'proc', type: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      {
        destination: '/dev',
        source: 'tmpfs',
        type: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=64k'],
      },
      {
        destination: '/dev/pts',
        source: 'devpts',
        type: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
      },
      {
        destination: '/dev/shm',
        source: 'shm',
        type: 'tmpfs',
        options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=64m'],
      },
      { destination: '/dev/mqueue', source: 'mqueue', type: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
      ...sysMounts(userNamespace !== undefined),
      ...binds.map(bind),
    ],
    linux: {
      namespaces: [
        { type: 'pid' },
        { type: 'mount' },
        { type: 'ipc' },
        { type: 'uts' },
        { type: 'cgroup' },
        ...networkNamespace(step.network),
        ...(userNamespace ? [{ type: 'user' }] : []),
      ],
      ...(mapping ? { uidMappings: mapping, gidMappings: mapping } : {}),
      cgroupsPath: cgroup,
      resources: { devices: [{ allow: false, access: 'rwm' }], pids: { limit: 4096 } },
      seccomp: buildSeccomp(arch),
      maskedPaths,
      readonlyPaths,
    },
  }
}
