import { createHash } from 'node:crypto'
import { lstat, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { GibilError } from '@gibil/contract'
import * as z from 'zod'
import { errnoOf, parseJson, readIfThere, writeAtomically } from './files.ts'
import { createMutex } from './mutex.ts'
import { type HostEnv, mustRun, runTool } from './tool.ts'

/** The completion mark beside a layer, `<id>.json`: written last, so a layer without one is not finished. */
const LayerMark = z.object({
  version: z.literal(1),
  id: z.string(),
  /** Files, directories, links and the rest, the root included. */
  entries: z.int(),
  /** Bytes in regular files, a hard-linked file counted once. */
  bytes: z.int(),
})
export type LayerMark = z.infer<typeof LayerMark>

/**
 * Layers: directory trees that no one writes to once they are here, each under the sha256 of its content. What a layer takes
 * away is in the form of overlayfs: character device 0/0 for a file, `trusted.overlay.opaque` for a directory's old content.
 */
export interface LayerStore {
  pathOf(id: string): string
  /** Moves a finished tree (on the same file system) into the store and returns its mark; equal content is kept once. */
  commit(tree: string, options?: CommitOptions): Promise<LayerMark>
  /** The mark of a layer that is whole, else undefined. The first look at a layer counts its files; later ones are cheap. */
  check(id: string): Promise<LayerMark | undefined>
  /** Ids of all layers, also damaged ones. */
  list(): Promise<string[]>
  /** Removes a layer, unless `spare` says no at the last moment. */
  remove(id: string, spare?: (id: string) => boolean): Promise<boolean>
}

export interface CommitOptions {
  /** The layer's id where it is known already; else the sha256 of its content. */
  readonly id?: string
  /** Told the id before the layer is looked for or moved, so that it can be kept from removal. */
  readonly onId?: (id: string) => void
  readonly signal?: AbortSignal | undefined
}

const layerId = /^[0-9a-f]{64}$/

/** Counts a tree as it is on disk. */
const measure = async (tree: string, env: HostEnv): Promise<{ entries: number; bytes: number }> => {
  const seen = new Set<string>()
  let entries = 0
  let bytes = 0
  let rest = ''
  const read = (line: string) => {
    const [type, links, inode = '', size] = line.split(' ')
    entries += 1
    if (type !== 'f') return
    if (links !== '1') {
      if (seen.has(inode)) return
      seen.add(inode)
    }
    bytes += Number(size)
  }
  await mustRun(['find', tree, '-xdev', '-printf', '%y %n %i %s\\n'], {
    env,
    onStdout: (chunk) => {
      const lines = (rest + Buffer.from(chunk).toString('latin1')).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) read(line)
    },
  })
  return { entries, bytes }
}

/**
 * The sha256 of a tree as a tar archive in a fixed form: sorted by name, numeric owners, modification times kept but for the
 * root's, which tells when it was unpacked. Sockets are no part of it.
 */
const contentId = async (tree: string, env: HostEnv, signal?: AbortSignal): Promise<string> => {
  const hash = createHash('sha256')
  const { mode, uid, gid } = await lstat(tree)
  hash.update(JSON.stringify([mode & 0o7777, uid, gid]))
  const names = (await readdir(tree, { encoding: 'buffer' })).sort(Buffer.compare)
  const list = Buffer.concat(names.flatMap((name) => [Buffer.from('./'), name, Buffer.from([0])]))
  const form = ['--sort=name', '--format=posix', '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime']
  const attributes = ['--xattrs', '--xattrs-include=security.capability', '--xattrs-include=user.*']
  const files = ['--null', '--verbatim-files-from', '--files-from=-']
  const opaque = '--xattrs-include=trusted.overlay.opaque'
  await mustRun(['tar', '--create', ...form, '--numeric-owner', ...attributes, opaque, '-C', tree, ...files], {
    env,
    signal,
    input: Readable.from([list], { objectMode: false }),
    onStdout: (chunk) => hash.update(chunk),
  })
  return hash.digest('hex')
}

export const openLayerStore = (folder: string, env: HostEnv): LayerStore => {
  const pathOf = (id: string): string => {
    if (!layerId.test(id)) throw new GibilError('image_damaged', `${JSON.stringify(id)} is not the id of a layer.`)
    return join(folder, id)
  }
  const markOf = (id: string): string => `${pathOf(id)}.json`
  /** Layers counted and found whole, with what `stat` said of their root then. */
  const known = new Map<string, { mark: LayerMark; seen: string }>()
  const counting = new Map<string, Promise<LayerMark | undefined>>()
  const removing = new Set<string>()
  const alone = createMutex()

  const look = async (id: string): Promise<string | undefined> => {
    try {
      const [tree, mark] = await Promise.all([lstat(pathOf(id)), lstat(markOf(id))])
      return tree.isDirectory() ? `${tree.ino} ${tree.ctimeMs} ${mark.ino} ${mark.ctimeMs}` : undefined
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  const count = async (id: string, seen: string): Promise<LayerMark | undefined> => {
    const mark = LayerMark.safeParse(parseJson((await readIfThere(markOf(id))) ?? ''))
    if (!mark.success || mark.data.id !== id) return undefined
    const { entries, bytes } = await measure(pathOf(id), env)
    if (entries !== mark.data.entries || bytes !== mark.data.bytes) return undefined
    known.set(id, { mark: mark.data, seen })
    return mark.data
  }

  const check = async (id: string): Promise<LayerMark | undefined> => {
    if (removing.has(id)) return undefined
    const seen = await look(id)
    if (seen === undefined) return undefined
    const before = known.get(id)
    if (before?.seen === seen) return before.mark
    const running = counting.get(id) ?? count(id, seen).finally(() => counting.delete(id))
    counting.set(id, running)
    return running
  }

  const erase = async (id: string): Promise<void> => {
    known.delete(id)
    // The mark goes first: half a layer without a mark is not a layer.
    await rm(markOf(id), { force: true })
    await rm(pathOf(id), { recursive: true, force: true, maxRetries: 2 })
  }

  const place = async (tree: string, id: string, mark: LayerMark): Promise<LayerMark> => {
    const kept = await check(id)
    if (kept) return kept
    await erase(id)
    await rename(tree, pathOf(id))
    await writeAtomically(markOf(id), JSON.stringify(mark))
    return mark
  }

  return {
    pathOf,
    check,
    commit: async (tree, options = {}) => {
      const id = options.id ?? (await contentId(tree, env, options.signal))
      options.onId?.(id)
      const kept = await check(id)
      if (kept) return kept
      const mark: LayerMark = { version: 1, id, ...(await measure(tree, env)) }
      // The content must be on disk before the mark says so.
      const synced = await runTool(['sync', '--file-system', tree], { env, signal: options.signal })
      if (synced.exitCode !== 0)
        throw new GibilError('disk_full', `A layer could not be written: ${synced.tail.trim()}`)
      return alone(() => place(tree, id, mark))
    },
    remove: (id, spare = () => false) =>
      alone(async () => {
        if (spare(id)) return false
        removing.add(id)
        try {
          await erase(id)
        } finally {
          removing.delete(id)
        }
        return true
      }),
    list: async () => {
      const ids = (await readdir(folder))
        .map((name) => name.replace(/\.json(\..*\.tmp)?$/, ''))
        .filter((name) => layerId.test(name))
      return [...new Set(ids)]
    },
  }
}
