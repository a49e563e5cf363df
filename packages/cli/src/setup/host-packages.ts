import { constants, existsSync } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { GibilError } from '@gibil/sdk'
import { execa } from 'execa'

/** A program that the host must have, the distribution package that brings it, and what it is for. */
export interface HostTool {
  readonly program: string
  /** The file of a module of it, when the package brings that. */
  readonly module?: string
  readonly package: string
  readonly purpose: string
}

/** What the container shape, its images and the build of our own Go programs need. Names are those of Debian and Ubuntu. */
export const hostTools: readonly HostTool[] = [
  { program: 'runc', package: 'runc', purpose: 'runs containers' },
  { program: 'nft', package: 'nftables', purpose: 'keeps boxes apart on the network' },
  { program: 'ip', package: 'iproute2', purpose: 'shows the networks of the host' },
  { program: 'mkfs.ext4', package: 'e2fsprogs', purpose: 'makes the disks of boxes' },
  { program: 'mmdebstrap', package: 'mmdebstrap', purpose: 'builds the base image' },
  { program: 'skopeo', package: 'skopeo', purpose: 'pulls images' },
  { program: 'umoci', package: 'umoci', purpose: 'unpacks images' },
  { program: 'git', package: 'git', purpose: 'reads repositories' },
  { program: 'go', package: 'golang-go', purpose: 'builds boxd and hostkit' },
]

/** What the shape microvm needs on top; it is made for x86-64 hosts only. */
export const microvmTools: readonly HostTool[] =
  process.arch === 'x64'
    ? [
        { program: 'qemu-system-x86_64', package: 'qemu-system-x86', purpose: 'runs microvms' },
        { program: 'qemu-img', package: 'qemu-utils', purpose: 'makes the disks of microvms' },
      ]
    : []

/** What only the tests need on top. */
export const testTools: readonly HostTool[] = [
  ...microvmTools,
  { program: 'runsc', package: 'runsc', purpose: 'boxes in gVisor' },
  { program: 'docker-registry', package: 'docker-registry', purpose: 'a real registry to pull from' },
  { program: 'busybox', package: 'busybox-static', purpose: 'a root filesystem of one file' },
  { program: 'ssh', package: 'openssh-client', purpose: 'clones over ssh, and the clients of the gateway' },
  { program: 'rsync', package: 'rsync', purpose: 'another client of ssh' },
  { program: 'curl', package: 'curl', purpose: 'a client of ports, and of SOCKS' },
  { program: 'openssl', package: 'openssl', purpose: 'certificates of the E2B door' },
  { program: 'sshd', package: 'openssh-server', purpose: 'a machine that is reached by SSH' },
  { program: 'sudo', package: 'sudo', purpose: 'a login that is not root there' },
  { program: 'getcap', package: 'libcap2-bin', purpose: 'shows the capabilities of files' },
  { program: 'fincore', package: 'util-linux-extra', purpose: 'shows what of a file is in memory' },
  { program: 'asciinema', package: 'asciinema', purpose: 'plays recordings of sessions' },
  { program: 'chromium', package: 'chromium', purpose: 'shows VS Code' },
  { program: 'zsh', package: 'zsh', purpose: 'tries the completion of zsh' },
  { program: 'fish', package: 'fish', purpose: 'tries the completion of fish' },
  { program: 'hcloud', package: 'hcloud-cli', purpose: 'a client of Hetzner Cloud that is not ours' },
  {
    program: 'python3',
    module: '/usr/lib/python3/dist-packages/hcloud/__init__.py',
    package: 'python3-hcloud',
    purpose: 'another one',
  },
]

/** System programs live in sbin, which the PATH of an ordinary user often lacks. */
const searchPath = (): string[] => [
  ...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean),
  '/usr/local/sbin',
  '/usr/sbin',
  '/sbin',
]

/** Whether a program can be found and executed. */
export async function isInstalled(program: string): Promise<boolean> {
  for (const dir of searchPath()) {
    try {
      await access(join(dir, program), constants.X_OK)
      return true
    } catch {
      // Not in this directory; the next may have it.
    }
  }
  return false
}

export async function missingTools(tools: readonly HostTool[]): Promise<HostTool[]> {
  const present = await Promise.all(
    tools.map(async ({ program, module }) => (await isInstalled(program)) && (!module || existsSync(module))),
  )
  return tools.filter((_, index) => !present[index])
}

/** The one command that a person can run to get these packages. */
export const installCommand = (tools: readonly HostTool[]): string =>
  `sudo apt-get update && sudo apt-get install -y ${packageNames(tools).join(' ')}`

const packageNames = (tools: readonly HostTool[]): string[] => [...new Set(tools.map((tool) => tool.package))]

/**
 * Installs the packages of these tools with apt-get. Throws `needs_root` when not root, `missing_tool` when the machine
 * has no apt-get or the installation fails; both hints hold the command to run by hand.
 */
export async function installPackages(tools: readonly HostTool[]): Promise<void> {
  const names = packageNames(tools)
  if (!(await isInstalled('apt-get'))) {
    throw new GibilError('missing_tool', `Missing: ${names.join(', ')}; and this machine has no apt-get.`, {
      hint: 'Install these with the package manager of your distribution, then run `./gibil up` again.',
    })
  }
  if (process.getuid?.() !== 0) {
    throw new GibilError('needs_root', `Missing: ${names.join(', ')}; only root can install them.`, {
      hint: `Run: ${installCommand(tools)}`,
    })
  }
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  const update = await execa('apt-get', ['update', '-qq'], { env, reject: false, all: true })
  const install = await execa(
    'apt-get',
    ['install', '-y', '-qq', '--no-install-recommends', ...(await extras()), ...names],
    {
      env,
      reject: false,
      all: true,
    },
  )
  if (install.exitCode !== 0) {
    throw new GibilError('missing_tool', `apt-get could not install ${names.join(', ')}.`, {
      hint: `Run it by hand to see why: ${installCommand(tools)}`,
      details: { log: `${update.all ?? ''}\n${install.all ?? ''}`.slice(-4096) },
    })
  }
}

/** Ubuntu lacks the keys that Debian's archive is signed with, which the base image needs. */
async function extras(): Promise<string[]> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return /^ID=debian$/m.test(release) ? [] : ['debian-archive-keyring']
}
