import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { formatBytes, GibilError } from '@gibil/contract'
import type { ResolvedImage } from '@gibil/core'
import { type HomeNames, mustRun, type RunTool } from '@gibil/host'
import type { HostKit } from '@gibil/hostkit-client'
import { execa } from 'execa'

/** A disk that others hold the difference to; never written to once it is there. */
export interface Backing {
  readonly path: string
  readonly format: 'raw' | 'qcow2'
}

export interface RootDisks {
  /** The ext4 disk with the image's files, made from its layers once. */
  base(image: ResolvedImage): Promise<Backing>
  /** A new ext4 disk of that size without anything on it, sparse. */
  empty(path: string, sizeMib: number): Promise<Backing>
  /** Makes a disk of that size which holds only what differs from its backing. Throws `invalid_size` when the backing is larger. */
  overlay(disk: string, backing: Backing, sizeMib: number): Promise<void>
}

/** Room beside the files: the journal, tables, and what ext4 rounds up. */
const spareShare = 1.2
const spareMib = 96
const makeMs = 600_000

export function createRootDisks(deps: { names: HomeNames; hostkit: HostKit; run: RunTool }): RootDisks {
  const { names, hostkit, run } = deps
  const making = new Map<string, Promise<Backing>>()

  async function make(image: ResolvedImage, path: string): Promise<Backing> {
    const work = join(names.cacheDir, 'making', createHash('sha256').update(image.digest).digest('hex').slice(0, 16))
    const tree = join(work, 'tree')
    // What a daemon that was killed has left of an earlier try.
    await hostkit.unmount({ target: tree, recursive: true })
    await rm(work, { recursive: true, force: true })
    await mkdir(work, { recursive: true, mode: 0o700 })
    try {
      await hostkit.mountOverlay({
        target: tree,
        lower: image.layers,
        upper: join(work, 'upper'),
        work: join(work, 'work'),
      })
      const usage = await mustRun(run, 'du', ['-smx', tree])
      const sizeMib = Math.ceil(Number(usage.split('\t')[0]) * spareShare) + spareMib
      const made = join(work, 'disk')
      await makeFileSystem(['-d', tree, made, `${sizeMib}M`], `The disk of the image ${image.name}`)
      await rename(made, path)
    } finally {
      await hostkit.unmount({ target: tree, recursive: true })
      await rm(work, { recursive: true, force: true })
    }
    return { path, format: 'raw' }
  }

  return {
    async base(image) {
      const directory = join(names.cacheDir, 'images')
      await mkdir(directory, { recursive: true, mode: 0o700 })
      const path = join(directory, `${image.digest.replace(':', '-')}.ext4`)
      if (existsSync(path)) return { path, format: 'raw' }
      const already = making.get(path)
      if (already) return already
      const made = make(image, path).finally(() => making.delete(path))
      making.set(path, made)
      return made
    },
    async empty(path, sizeMib) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await rm(path, { force: true })
      await makeFileSystem([path, `${sizeMib}M`], 'An empty disk')
      return { path, format: 'raw' }
    },
    async overlay(disk, backing, sizeMib) {
      const least = backing.format === 'raw' ? (await stat(backing.path)).size : 0
      if (sizeMib * 1024 ** 2 < least) {
        throw new GibilError('invalid_size', `The image needs a disk of ${formatBytes(least)} or more.`, {
          hint: 'Give the box a larger one: --disk.',
        })
      }
      await rm(disk, { force: true })
      const args = ['create', '-q', '-f', 'qcow2', '-b', backing.path, '-F', backing.format, disk, `${sizeMib}M`]
      await mustRun(run, 'qemu-img', args)
    },
  }
}

async function makeFileSystem(args: readonly string[], what: string): Promise<void> {
  const result = await execa('mke2fs', ['-q', '-t', 'ext4', '-m', '0', ...options, ...args], {
    reject: false,
    timeout: makeMs,
    env: { PATH: '/usr/sbin:/sbin:/usr/bin:/bin', LC_ALL: 'C' },
    extendEnv: false,
  })
  if (result.exitCode === 0) return
  throw new GibilError('driver_failed', `${what} could not be made.`, {
    details: { stderr: (result.stderr ?? '').slice(-4096) },
  })
}

/** Blocks of 4 KiB, since boxd grows the file system by counting them; many inodes, as for trees of small files. */
const options = ['-b', '4096', '-i', '8192', '-E', 'lazy_itable_init=1,nodiscard,root_owner=0:0']
