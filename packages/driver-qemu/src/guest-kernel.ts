import { existsSync } from 'node:fs'
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { basename, isAbsolute, join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { lastLine, locate, namesIn } from '@gibil/host'
import { execa } from 'execa'

/** The kernel of Debian that is made for virtual machines, and those of its modules that a box needs before it has its disk. */
export interface GuestKernel {
  readonly version: string
  readonly image: string
  /** Paths in the order of loading. */
  readonly modules: readonly string[]
  /** A read-only disk with all of its modules, for what a box loads by itself. */
  readonly moduleDisk: string
}

const metaPackage = 'linux-image-cloud-amd64'
/** Has depmod, which writes the tables that modprobe goes by. The kernel's package leaves that to its installation. */
const indexerPackage = 'kmod'
/** In the order of loading; ext4 is part of the kernel itself. */
const neededModules = [
  'drivers/virtio/virtio_ring.ko',
  'drivers/virtio/virtio.ko',
  'drivers/virtio/virtio_mmio.ko',
  'drivers/virtio/virtio_pci_legacy_dev.ko',
  'drivers/virtio/virtio_pci_modern_dev.ko',
  'drivers/virtio/virtio_pci.ko',
  'drivers/block/virtio_blk.ko',
  'net/core/failover.ko',
  'drivers/net/net_failover.ko',
  'drivers/net/virtio_net.ko',
  'drivers/char/hw_random/virtio-rng.ko',
] as const

const downloadMs = 300_000

const moduleDisk = 'modules.ext4'

/** The newest kernel of the cache; fetched from the distribution when there is none. Throws `missing_tool` when that fails. */
export async function provideKernel(cacheDir: string): Promise<GuestKernel> {
  const directory = join(cacheDir, 'kernel')
  // One that lacks something was kept by an earlier version.
  const files = ['vmlinuz', moduleDisk, ...neededModules.map((path) => basename(path))]
  const whole = (name: string): boolean =>
    /^\d/.test(name) && files.every((file) => existsSync(join(directory, name, file)))
  const kept = (await namesIn(directory)).filter(whole).sort(byNumbers)
  const version = kept.at(-1) ?? (await fetchKernel(directory))
  const root = join(directory, version)
  return {
    version,
    image: join(root, 'vmlinuz'),
    modules: neededModules.map((path) => join(root, basename(path))),
    moduleDisk: join(root, moduleDisk),
  }
}

const byNumbers = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true })

/** Downloads the package and takes what is needed out of it, without installing anything. Returns the kernel's version. */
async function fetchKernel(directory: string): Promise<string> {
  const work = join(directory, `.fetching-${process.pid}`)
  await rm(work, { recursive: true, force: true })
  await mkdir(work, { recursive: true, mode: 0o700 })
  try {
    const name = (await kernelPackage()) ?? (await updated(kernelPackage))
    if (name === undefined) throw new Error(`apt knows no package ${metaPackage}`)
    await tool('apt-get', ['-qq', '-o', 'APT::Sandbox::User=root', 'download', name, indexerPackage], work)
    const unpacked = join(work, 'unpacked')
    for (const file of (await readdir(work)).filter((entry) => entry.endsWith('.deb'))) {
      await tool('dpkg-deb', ['-x', file, unpacked], work)
    }
    const version = name.replace(/^linux-image-/, '')
    const made = join(work, 'made')
    await mkdir(made, { mode: 0o755 })
    await copyFile(join(unpacked, 'boot', `vmlinuz-${version}`), join(made, 'vmlinuz'))
    for (const path of neededModules) {
      await copyFile(join(unpacked, 'lib/modules', version, 'kernel', path), join(made, basename(path)))
    }
    await makeModuleDisk(unpacked, version, join(made, moduleDisk))
    await rm(join(directory, version), { recursive: true, force: true })
    await rename(made, join(directory, version))
    return version
  } catch (cause) {
    throw new GibilError('missing_tool', `The kernel of machines could not be fetched: ${reasonOf(cause)}.`, {
      hint: `Check that \`apt-get download ${metaPackage}\` works on this host: Debian 12 or later, with its archive reachable.`,
      cause,
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** The unpacked /lib/modules as a file system: no journal, since nobody writes to it. */
async function makeModuleDisk(unpacked: string, version: string, disk: string): Promise<void> {
  // One program under many names, by which it tells what it is asked for.
  await tool(join(unpacked, 'bin/kmod'), ['--basedir', unpacked, version], unpacked, 'depmod')
  const tree = join(unpacked, 'lib/modules')
  const { stdout } = await execa('du', ['-sm', tree])
  const sizeMib = Math.ceil(Number.parseInt(stdout, 10) * 1.2) + 16
  const options = ['-q', '-t', 'ext4', '-O', '^has_journal', '-m', '0', '-b', '4096', '-E', 'root_owner=0:0']
  await tool('mke2fs', [...options, '-d', tree, disk, `${sizeMib}M`], unpacked)
}

async function kernelPackage(): Promise<string | undefined> {
  const { stdout } = await execa('apt-cache', ['depends', metaPackage], { reject: false, env: { LC_ALL: 'C' } })
  return /Depends: (linux-image-\d\S*)/.exec(stdout ?? '')?.[1]
}

async function updated<T>(again: () => Promise<T>): Promise<T> {
  await tool('apt-get', ['update', '-qq'], '/')
  return again()
}

async function tool(file: string, args: readonly string[], cwd: string, argv0 = file): Promise<void> {
  const program = isAbsolute(file) ? file : locate(file)
  if (program === undefined) throw new Error(`${file} is not installed`)
  const result = await execa(program, args, { cwd, argv0, reject: false, timeout: downloadMs, env: { LC_ALL: 'C' } })
  if (result.exitCode !== 0) throw new Error(`${file}: ${lastLine(result.stderr)}`)
}

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
