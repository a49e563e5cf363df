import { constants } from 'node:fs'
import { chmod, copyFile, lchown, lstat, lutimes, mkdir, readlink, rm, symlink } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { errnoOf } from '../files.ts'
import { scopedPath } from '../scoped-path.ts'
import { type Source, type SourceTree, walk } from './sources.ts'
import { SyntaxProblem } from './words.ts'

export interface CopyOptions {
  /** The image's file system, mounted to be changed. */
  readonly merged: string
  /** Absolute; a slash at the end makes it a folder. */
  readonly target: string
  /** Null: owners stay (from another stage). */
  readonly owner: { readonly uid: number; readonly gid: number } | null
  /** Null: modes stay. */
  readonly mode: number | null
  readonly signal?: AbortSignal | undefined
}

const statIfThere = async (path: string) => {
  try {
    return await lstat(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Makes the folders on the way, inside the image. */
export const makeFolders = async (
  merged: string,
  path: string,
  owner: { readonly uid: number; readonly gid: number },
): Promise<string> => {
  const real = await scopedPath(merged, path)
  const missing: string[] = []
  for (let at = real; at !== merged; at = dirname(at)) {
    const stat = await statIfThere(at).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOTDIR') return undefined
      throw error
    })
    if (stat?.isDirectory()) break
    if (stat) throw new SyntaxProblem(`/${relative(merged, at)} is in the way: it is not a directory.`)
    missing.unshift(at)
  }
  for (const at of missing) {
    await mkdir(at)
    await chmod(at, 0o755)
    await lchown(at, owner.uid, owner.gid)
  }
  return real
}

/** Copies one file, link or folder (not what is in it) to a path whose parent is there. */
const copyOne = async (from: string, to: string, options: CopyOptions): Promise<void> => {
  const stat = await lstat(from)
  const there = await statIfThere(to)
  if (stat.isDirectory()) {
    if (there && !there.isDirectory())
      throw new SyntaxProblem(`/${relative(options.merged, to)} is in the way: it is not a directory.`)
    if (!there) await mkdir(to)
  } else if (there?.isDirectory()) {
    throw new SyntaxProblem(`/${relative(options.merged, to)} is in the way: it is a directory.`)
  } else {
    if (there) await rm(to)
    if (stat.isSymbolicLink()) await symlink(await readlink(from), to)
    else if (stat.isFile()) await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
    // Sockets, pipes and devices are nothing to copy.
    else return
  }
  const { uid, gid } = options.owner ?? stat
  await lchown(to, uid, gid)
  // After the owner: changing that clears the setuid bit.
  if (!stat.isSymbolicLink()) await chmod(to, options.mode ?? stat.mode & 0o7777)
  await lutimes(to, stat.atime, stat.mtime)
}

/** Copies the content of a folder into a folder. A symbolic link of the image that stands for a folder is followed, inside the image. */
const copyContent = async (tree: SourceTree, folder: string, target: string, options: CopyOptions): Promise<void> => {
  const targets = new Map([[folder, target]])
  for await (const path of walk(tree, folder)) {
    options.signal?.throwIfAborted()
    const above = targets.get(dirname(path)) ?? (await ensureParents(folder, dirname(path), targets, options))
    const plain = join(above, relative(dirname(path), path))
    const isFolder = (await lstat(path)).isDirectory()
    const to = isFolder ? await scopedPath(options.merged, `/${relative(options.merged, plain)}`) : plain
    if (isFolder) targets.set(path, to)
    await copyOne(path, to, options)
  }
}

/** Folders that are ignored themselves but hold something that is not. */
const ensureParents = async (
  root: string,
  folder: string,
  targets: Map<string, string>,
  options: CopyOptions,
): Promise<string> => {
  const known = targets.get(folder)
  if (known !== undefined) return known
  const above = await ensureParents(root, dirname(folder), targets, options)
  const to = join(above, relative(dirname(folder), folder))
  await copyOne(folder, to, options)
  targets.set(folder, to)
  return to
}

/** Copies sources as COPY does: several, or a target with a slash at the end, go into a folder; a folder's content is copied, not itself. */
export const copySources = async (
  tree: SourceTree,
  sources: readonly Source[],
  options: CopyOptions,
): Promise<void> => {
  const { merged, target } = options
  const owner = options.owner ?? { uid: 0, gid: 0 }
  const real = await scopedPath(merged, target)
  const intoFolder =
    target.endsWith('/') ||
    sources.length > 1 ||
    ((await statIfThere(real).catch(() => undefined))?.isDirectory() ?? false)
  for (const source of sources) {
    if ((await lstat(source.path)).isDirectory()) {
      await copyContent(tree, source.path, await makeFolders(merged, target, owner), options)
    } else if (intoFolder) {
      await copyOne(source.path, join(await makeFolders(merged, target, owner), source.name), options)
    } else {
      await makeFolders(merged, dirname(target), owner)
      await copyOne(source.path, await scopedPath(merged, target, false), options)
    }
  }
}
