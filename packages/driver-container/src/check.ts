import { statfs } from 'node:fs/promises'
import { release } from 'node:os'
import { formatBytes, type HostCheck } from '@gibil/contract'
import {
  currentUpstream,
  droppingChains,
  homeNames,
  locate,
  namesIn,
  parseCgroupLayout,
  publicResolver,
  readIfThere,
  roomNeeded,
  runTool,
} from '@gibil/host'
import { installGvisor } from './gvisor.ts'
import { knownRuntimes } from './runtime.ts'

/** Looks at everything the driver needs, changing nothing. */
export async function checkHost(options: { readonly home: string; readonly runtime?: string }): Promise<HostCheck[]> {
  return Promise.all([
    checkRoot(),
    checkKernel(),
    checkCgroups(),
    checkUserNamespaces(),
    checkSeccomp(),
    checkFileSystems(),
    checkLoop(),
    checkProgram('oci-runtime', options.runtime === undefined ? knownRuntimes : [options.runtime], 'runc'),
    checkProgram('nftables', ['nft'], 'nftables'),
    checkProgram('mkfs.ext4', ['mkfs.ext4'], 'e2fsprogs'),
    checkRoom(options.home),
    checkResolver(),
    checkFirewall(options.home),
    checkGvisor(),
  ])
}

const required = (name: string, ok: boolean, detail: string, mend: string): HostCheck => ({
  name,
  ok,
  required: true,
  detail,
  mend,
})

async function checkRoot(): Promise<HostCheck> {
  const uid = process.geteuid?.() ?? -1
  return required('root', uid === 0, `effective user id ${uid}`, 'Run the daemon as root: `sudo ./gibil up`.')
}

/** Overlay over id-mapped lower layers came with Linux 5.19 (overlayfs changes of that release). */
async function checkKernel(): Promise<HostCheck> {
  const [major = 0, minor = 0] = release().split('.').map(Number)
  const ok = major > 5 || (major === 5 && minor >= 19)
  return required(
    'kernel',
    ok,
    `Linux ${release()}, 5.19 or later is needed`,
    'Install a newer kernel of the distribution.',
  )
}

async function checkCgroups(): Promise<HostCheck> {
  const mend = 'Boot with cgroup controllers cpu, memory and pids enabled (on some boards: cgroup_enable=memory).'
  const layout = parseCgroupLayout((await readIfThere('/proc/self/mountinfo')) ?? '')
  if (layout === undefined) return required('cgroups', false, 'none are mounted below /sys/fs/cgroup', mend)
  const wanted = ['cpu', 'memory', 'pids']
  const here =
    layout.version === 1
      ? [...layout.byController.keys()]
      : ((await readIfThere('/sys/fs/cgroup/cgroup.controllers')) ?? '').trim().split(' ')
  const lacking = wanted.filter((name) => !here.includes(name))
  const detail = `version ${layout.version}${lacking.length > 0 ? `, without ${lacking.join(', ')}` : ''}`
  return required('cgroups', lacking.length === 0, detail, mend)
}

async function checkUserNamespaces(): Promise<HostCheck> {
  const most = Number((await readIfThere('/proc/sys/user/max_user_namespaces'))?.trim() ?? 0)
  return required(
    'user-namespaces',
    most > 0,
    `up to ${most}`,
    'Set it higher: `sysctl -w user.max_user_namespaces=15000`.',
  )
}

async function checkSeccomp(): Promise<HostCheck> {
  const actions = (await readIfThere('/proc/sys/kernel/seccomp/actions_avail'))?.trim()
  return required(
    'seccomp',
    actions?.includes('errno') ?? false,
    actions ?? 'not in this kernel',
    'Use a kernel with CONFIG_SECCOMP_FILTER.',
  )
}

async function checkFileSystems(): Promise<HostCheck> {
  const built = (await readIfThere('/proc/filesystems')) ?? ''
  const modules = (await readIfThere(`/lib/modules/${release()}/modules.dep`)) ?? ''
  const lacking = ['overlay', 'ext4'].filter(
    (name) => !new RegExp(`\\b${name}$`, 'm').test(built) && !modules.includes(`/${name}.ko`),
  )
  const detail = lacking.length === 0 ? 'overlay and ext4' : `the kernel lacks ${lacking.join(' and ')}`
  return required('file-systems', lacking.length === 0, detail, 'Install the modules package of this kernel.')
}

async function checkLoop(): Promise<HostCheck> {
  const ok = (await namesIn('/dev')).includes('loop-control')
  const detail = ok ? '/dev/loop-control' : '/dev/loop-control is missing'
  return required('loop-devices', ok, detail, 'Load the module: `modprobe loop`.')
}

async function checkProgram(name: string, programs: readonly string[], pack: string): Promise<HostCheck> {
  const path = programs.map(locate).find((found) => found !== undefined)
  return required(
    name,
    path !== undefined,
    path ?? `none of ${programs.join(', ')} is installed`,
    `Install it: \`apt-get install ${pack}\`, or run \`./gibil up\` as root.`,
  )
}

async function checkRoom(home: string): Promise<HostCheck> {
  const { bavail, blocks, bsize } = await statfs(home).catch(() => statfs('/'))
  const free = bavail * bsize
  const needed = roomNeeded(blocks * bsize)
  return required(
    'disk-room',
    free >= needed,
    `${formatBytes(free)} free, ${formatBytes(needed)} needed`,
    'Free space on the host, or destroy boxes that are not needed.',
  )
}

async function checkResolver(): Promise<HostCheck> {
  const upstream = await currentUpstream(undefined)
  return {
    name: 'resolver',
    ok: upstream.ofHost,
    required: false,
    detail: upstream.ofHost
      ? `boxes ask ${upstream.address}`
      : `the host names no IPv4 resolver but loopback ones, so boxes ask ${publicResolver}`,
    mend: 'Give the daemon a resolver that boxes can reach, or name one in /etc/resolv.conf.',
  }
}

async function checkFirewall(home: string): Promise<HostCheck> {
  const name = 'firewall'
  const mend = `Accept forwarded packets of links named ${homeNames(home).linkPrefix}* in that chain.`
  if (locate('nft') === undefined || process.geteuid?.() !== 0) {
    return { name, ok: true, required: false, detail: 'not looked at without nft and root', mend }
  }
  const { exitCode, stdout } = await runTool('nft', ['-j', 'list', 'chains'])
  const foreign = exitCode === 0 ? droppingChains(stdout, homeNames(home)) : []
  // iptables' own chain is opened for boxes when the driver opens.
  const closed = foreign.filter(
    (chain) => !(chain.family === 'ip' && chain.table === 'filter' && chain.chain === 'FORWARD'),
  )
  return {
    name,
    ok: closed.length === 0,
    required: false,
    detail:
      closed.length === 0
        ? 'no other table drops forwarded packets'
        : `dropped by ${closed.map(({ family, table, chain }) => `${family} ${table} ${chain}`).join(', ')}`,
    mend,
  }
}

/** Not needed by any box that does not ask for it, so its absence is no fault. */
async function checkGvisor(): Promise<HostCheck> {
  const path = locate('runsc')
  const detail = path ?? 'runsc is not installed, so boxes with --isolation gvisor are refused'
  return { name: 'gvisor', ok: true, required: false, detail, mend: installGvisor }
}
