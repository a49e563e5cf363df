import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import { errnoOf } from '../files.ts'
import { scopedPath } from '../scoped-path.ts'
import { fileMatcher } from './glob.ts'
import type { Ignores } from './ignore-file.ts'

/** Where files are copied from: a build context or the file system of another stage. */
export interface SourceTree {
  readonly root: string
  readonly ignores: Ignores
}

/** A file or folder to copy: where it is, and by which name it was asked for. */
export interface Source {
  readonly path: string
  readonly name: string
}

const hasPattern = (part: string): boolean => /[*?[\\]/.test(part)

const exists = async (path: string): Promise<boolean> => {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return false
    throw error
  }
}

/** What a path or pattern means in a tree, in order of name; symbolic links are followed inside the tree. */
export const findSources = async (tree: SourceTree, pattern: string): Promise<Source[]> => {
  const parts = pattern.split('/').filter((part) => part !== '' && part !== '.')
  let found = ['']
  for (const part of parts) {
    const next = await Promise.all(
      found.map(async (above) => {
        if (!hasPattern(part)) return [`${above}/${part}`]
        const matches = fileMatcher(part)
        const folder = await scopedPath(tree.root, above)
        const isFolder = await lstat(folder).then(
          (stat) => stat.isDirectory(),
          () => false,
        )
        const names = isFolder ? await readdir(folder) : []
        return names
          .filter((name) => matches(name))
          .sort()
          .map((name) => `${above}/${name}`)
      }),
    )
    found = next.flat()
  }
  const sources = await Promise.all(
    found.map(async (name): Promise<Source[]> => {
      const path = await scopedPath(tree.root, name)
      const inTree = relative(tree.root, path)
      const isIgnored = name !== '' && inTree !== '' && tree.ignores(inTree) && !(await hasWanted(tree, path))
      return !isIgnored && (await exists(path)) ? [{ path, name: basename(name) }] : []
    }),
  )
  return sources.flat()
}

/** Whether an ignored folder holds something that is not. */
const hasWanted = async (tree: SourceTree, path: string): Promise<boolean> => {
  const stat = await lstat(path).catch(() => undefined)
  if (!stat?.isDirectory()) return false
  for await (const file of walk(tree, path)) if (!tree.ignores(relative(tree.root, file))) return true
  return false
}

/** Everything below a folder that is not ignored, parents first, in order of name. */
export async function* walk(tree: SourceTree, folder: string): AsyncGenerator<string> {
  for (const entry of (await readdir(folder, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name)
    const ignored = tree.ignores(relative(tree.root, path))
    if (!ignored) yield path
    if (entry.isDirectory()) yield* walk(tree, path)
  }
}

/** The sha256 of what would be copied: names, kinds, modes and contents. Owners and times do not count. */
export const hashSources = async (tree: SourceTree, sources: readonly Source[]): Promise<string> => {
  const hash = createHash('sha256')
  const add = async (path: string, name: string): Promise<void> => {
    const stat = await lstat(path)
    const kind = stat.isSymbolicLink() ? `l ${await readlink(path)}` : stat.isDirectory() ? 'd' : `f ${stat.size}`
    hash.update(JSON.stringify([name, stat.mode & 0o7777, kind]))
    if (stat.isFile())
      for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) hash.update(chunk)
  }
  for (const source of sources) {
    await add(source.path, source.name)
    if (!(await lstat(source.path)).isDirectory()) continue
    for await (const path of walk(tree, source.path)) await add(path, join(source.name, relative(source.path, path)))
  }
  return hash.digest('hex')
}
