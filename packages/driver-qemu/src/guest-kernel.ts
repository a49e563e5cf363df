import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { lastLine, locate, namesIn } from '@gibil/host'
import { execa } from 'execa'

/** The kernel of Debian that is made for virtual machines, and those of its modules that a box needs before it has its disk. */
export interface GuestKernel {
  readonly version: string
  readonly image: string
  /** Paths in the order of loading. */
  readonly modules: readonly string[]
}

const metaPackage = 'linux-image-cloud-amd64'
/** In the order of loading; ext4 is part of the kernel itself. */
const neededModules = [
  'drivers/virtio/virtio_ring.ko',
  'drivers/virtio/virtio.ko',
  'drivers/virtio/virtio_mmio.ko',
  'drivers/block/virtio_blk.ko',
  'net/core/failover.ko',
  'drivers/net/net_failover.ko',
  'drivers/net/virtio_net.ko',
  'drivers/char/hw_random/virtio-rng.ko',
] as const

const downloadMs = 300_000

/** The newest kernel of the cache; fetched from the distribution when there is none. Throws `missing_tool` when that fails. */
export async function provideKernel(cacheDir: string): Promise<GuestKernel> {
  const directory = join(cacheDir, 'kernel')
  const kept = (await namesIn(directory)).filter((name) => /^\d/.test(name)).sort(byNumbers)
  const version = kept.at(-1) ?? (await fetchKernel(directory))
  const root = join(directory, version)
  return {
    version,
    image: join(root, 'vmlinuz'),
    modules: neededModules.map((path) => join(root, basename(path))),
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
    await tool('apt-get', ['-qq', '-o', 'APT::Sandbox::User=root', 'download', name], work)
    const file = (await readdir(work)).find((entry) => entry.endsWith('.deb'))
    if (file === undefined) throw new Error('apt-get downloaded nothing')
    const unpacked = join(work, 'unpacked')
    await tool('dpkg-deb', ['-x', file, unpacked], work)
    const version = name.replace(/^linux-image-/, '')
    const made = join(work, 'made')
    await mkdir(made, { mode: 0o755 })
    await copyFile(join(unpacked, 'boot', `vmlinuz-${version}`), join(made, 'vmlinuz'))
    for (const path of neededModules) {
      await copyFile(join(unpacked, 'lib/modules', version, 'kernel', path), join(made, basename(path)))
    }
    await rename(made, join(directory, version))
    return version
  } catch (cause) {
    throw new GibilError('missing_tool', `The kernel for microvms could not be fetched: ${reasonOf(cause)}.`, {
      hint: `Check that \`apt-get download ${metaPackage}\` works on this host: Debian 12 or later, with its archive reachable.`,
      cause,
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function kernelPackage(): Promise<string | undefined> {
  const { stdout } = await execa('apt-cache', ['depends', metaPackage], { reject: false, env: { LC_ALL: 'C' } })
  return /Depends: (linux-image-\d\S*)/.exec(stdout ?? '')?.[1]
}

async function updated<T>(again: () => Promise<T>): Promise<T> {
  await tool('apt-get', ['update', '-qq'], '/')
  return again()
}

async function tool(file: string, args: readonly string[], cwd: string): Promise<void> {
  if (locate(file) === undefined) throw new Error(`${file} is not installed`)
  const result = await execa(file, args, { cwd, reject: false, timeout: downloadMs, env: { LC_ALL: 'C' } })
  if (result.exitCode !== 0) throw new Error(`${file}: ${lastLine(result.stderr)}`)
}

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
