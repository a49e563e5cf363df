import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seccompProfile } from '../packages/driver-container/src/seccomp.ts'
import { removeCgroups } from './cgroups.ts'
import { mustRun, run } from './process.ts'
import type { Running, Subject } from './subject.ts'

export interface FloorSubject extends Subject, AsyncDisposable {
  /** The root file system of the image, mounted once and read by nobody but the bench. */
  readonly rootfs: string
  /** An overlay and `runc run` of this command as the first process: the least that a container can take. */
  runOnce(argv: readonly string[]): Promise<string>
}

export interface FloorOptions {
  /** Top first. */
  readonly layers: readonly string[]
  readonly limits: { readonly cpu: number; readonly memoryMib: number }
}

/**
 * The bare tools, driven by one small shell script: an overlay mount and runc with the limits, namespaces and system call filter of a box, but no shifted ids, no
 * disk of its own, no network but loopback, nothing remembered. What a box takes beyond it is what these cost.
 */
export async function startFloor({ layers, limits }: FloorOptions): Promise<FloorSubject> {
  const home = await mkdtemp(join(tmpdir(), 'bench-floor-'))
  const runtime = join(home, 'runc')
  const lower = layers.join(':')
  const rootfs = join(home, 'image')
  let count = 0

  const prepare = async (argv: readonly string[]): Promise<{ id: string; bundle: string }> => {
    count += 1
    const id = `floor-${process.pid}-${count}`
    const bundle = join(home, id)
    for (const name of ['upper', 'work', 'rootfs']) await mkdir(join(bundle, name), { recursive: true })
    await writeFile(join(bundle, 'config.json'), JSON.stringify(config(argv, id, limits)))
    return { id, bundle }
  }
  // $0 is the bundle.
  const mount = `mount -t overlay overlay -o lowerdir=${lower},upperdir="$0"/upper,workdir="$0"/work "$0"/rootfs`
  const runc = `runc --root ${runtime}`
  const clear = async (id: string, bundle: string): Promise<void> => {
    await run(['runc', '--root', runtime, 'delete', '--force', id])
    await run(['umount', join(bundle, 'rootfs')])
    await rm(bundle, { recursive: true, force: true })
  }

  await mkdir(join(home, 'base/upper'), { recursive: true })
  await mkdir(join(home, 'base/work'), { recursive: true })
  await mkdir(rootfs)
  await mustRun(['mount', '-t', 'overlay', 'overlay', '-o', `ro,lowerdir=${lower}:${join(home, 'base/upper')}`, rootfs])

  return {
    name: 'floor',
    rootfs,
    async runOnce(argv) {
      const { id, bundle } = await prepare(argv)
      try {
        return await mustRun(['sh', '-c', `${mount} && exec ${runc} run --bundle "$0" ${id}`, bundle])
      } finally {
        await clear(id, bundle)
      }
    },
    async create(): Promise<Running> {
      const { id, bundle } = await prepare(['sleep', 'infinity'])
      try {
        // Its output goes to a file: the container keeps what it inherits, and a pipe would never end.
        const detached = `exec ${runc} run --detach --bundle "$0" ${id} >"$0"/log 2>&1 </dev/null`
        await mustRun(['sh', '-c', `${mount} && ${detached}`, bundle])
      } catch (error) {
        await clear(id, bundle)
        throw error
      }
      return {
        run: (line) => mustRun(['runc', '--root', runtime, 'exec', '--user', '1000:1000', id, 'bash', '-c', line]),
        destroy: () => clear(id, bundle),
      }
    },
    async [Symbol.asyncDispose]() {
      await run(['umount', rootfs])
      await removeCgroups(cgroupParent)
      await rm(home, { recursive: true, force: true })
    },
  }
}

const cgroupParent = `bench-floor-${process.pid}`

const privileges = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_NET_BIND_SERVICE',
]

const config = (argv: readonly string[], id: string, limits: FloorOptions['limits']): unknown => ({
  ociVersion: '1.0.2',
  hostname: 'floor',
  root: { path: 'rootfs' },
  process: {
    terminal: false,
    user: { uid: 0, gid: 0 },
    args: argv,
    cwd: '/',
    env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    capabilities: { bounding: privileges, effective: privileges, permitted: privileges },
  },
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc' },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755'] },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['newinstance', 'ptmxmode=0666', 'mode=0620'],
    },
    { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'nodev', 'noexec', 'mode=1777'] },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  ],
  linux: {
    cgroupsPath: `/${cgroupParent}/${id}`,
    namespaces: ['pid', 'mount', 'ipc', 'uts', 'network', 'cgroup'].map((type) => ({ type })),
    resources: {
      devices: [{ allow: false, access: 'rwm' }],
      cpu: { shares: limits.cpu * 1024, quota: limits.cpu * 100_000, period: 100_000 },
      memory: { limit: limits.memoryMib * 1024 ** 2 },
      pids: { limit: 4096 },
    },
    seccomp: seccompProfile(process.arch),
    maskedPaths: ['/proc/kcore', '/proc/keys', '/proc/timer_list', '/sys/firmware'],
    readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
  },
})
