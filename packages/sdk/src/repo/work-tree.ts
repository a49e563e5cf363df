import { lstat, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import ignore from 'ignore'
import type { TarEntry } from '../tree/tar-writer.ts'
import { entryOf, walkTree } from '../tree/walk.ts'
import { gitRecords, tryGit } from './git.ts'

/** A directory here, seen as a git work tree where it is one. */
export interface WorkTree {
  readonly root: string
  /** Its own git directory, and the one that it shares with other work trees; undefined: not in git. */
  readonly git: { readonly own: string; readonly common: string } | undefined
}

export const gibilIgnore = '.gibilignore'

/** Finds the work tree at a directory. A directory inside of a repository, but not its root, is just a directory. */
export async function openWorkTree(path: string, signal?: AbortSignal): Promise<WorkTree> {
  const asked = ['rev-parse', '--show-prefix', '--absolute-git-dir', '--git-common-dir', '--is-inside-work-tree']
  const inRepository = await lstat(join(path, '.git')).catch(() => undefined)
  const result = inRepository ? await tryGit(asked, { cwd: path, signal }) : undefined
  if (result?.status !== 0) return { root: path, git: undefined }
  const [prefix, own, common, inside] = result.stdout.split('\n')
  if (prefix !== '' || inside !== 'true' || !own || !common) return { root: path, git: undefined }
  return { root: path, git: { own, common: resolve(path, common) } }
}

/**
 * What of a work tree travels: in git, all that is tracked or neither tracked nor ignored, and of its submodules the
 * same; elsewhere, all that .gitignore and .gibilignore leave. `.gibilignore` at the root holds in both. Never .git.
 */
export async function* workTreeEntries(tree: WorkTree, signal?: AbortSignal): AsyncGenerator<TarEntry> {
  if (!tree.git) {
    yield* walkTree(tree.root, { ignoreFiles: ['.gitignore', gibilIgnore], exclude: ['.git'], signal })
    return
  }
  const rules = ignore().add(await readFile(join(tree.root, gibilIgnore), 'utf8').catch(() => ''))
  for await (const path of gitRecords(['ls-files', '-z', '-co', '--exclude-standard', '--deduplicate'], {
    cwd: tree.root,
    signal,
  })) {
    // A nested repository that is no submodule is listed with a slash at its end.
    const name = path.replace(/\/$/, '')
    if (rules.ignores(name)) continue
    const entry = await entryOf(tree.root, name)
    if (!entry) continue
    yield entry
    if (entry.kind === 'directory') yield* nested(tree.root, name, signal)
  }
}

async function* nested(root: string, name: string, signal?: AbortSignal): AsyncGenerator<TarEntry> {
  const inner = await openWorkTree(join(root, name), signal)
  if (!inner.git) return
  // The `.git` file of a submodule points into .git/modules of the repository around it, relatively.
  const pointer = await entryOf(inner.root, '.git')
  if (pointer?.kind === 'file') yield { ...pointer, name: `${name}/.git` }
  for await (const entry of workTreeEntries(inner, signal)) yield { ...entry, name: `${name}/${entry.name}` }
}
