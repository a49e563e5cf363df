import type { TarEntry } from '../tree/tar-writer.ts'
import { createBase } from './base.ts'
import { tryGit } from './git.ts'
import { gitDirectoryEntries } from './git-directory.ts'
import { openWorkTree, workTreeEntries } from './work-tree.ts'

/** A directory here with its history and its uncommitted work, ready to be sent into a box; secrets of git stay at home. */
export async function* repositoryEntries(path: string, signal?: AbortSignal): AsyncGenerator<TarEntry> {
  const tree = await openWorkTree(path, signal)
  const found = tree.git
  if (!found) {
    yield* workTreeEntries(tree, signal)
    return
  }
  const repository = { root: tree.root, git: found }
  await using base = await createBase(repository, signal)
  yield* gitDirectoryEntries(repository, await identityOf(path, signal), signal)
  if (base) yield* base.entries()
  yield* workTreeEntries(tree, signal)
}

/** Whoever commits in the box does it in the name of the person who sent the work. */
async function identityOf(path: string, signal?: AbortSignal): Promise<Record<string, string>> {
  const identity: Record<string, string> = {}
  for (const key of ['user.name', 'user.email']) {
    const value = (await tryGit(['config', '--get', key], { cwd: path, signal })).stdout.trim()
    if (value) identity[key] = value
  }
  return identity
}

/** The branch and commit that a work tree is on, where there are any. */
export async function headOf(
  path: string,
  signal?: AbortSignal,
): Promise<{ branch: string | undefined; origin: string | undefined }> {
  const tree = await openWorkTree(path, signal)
  if (!tree.git) return { branch: undefined, origin: undefined }
  const branch = await tryGit(['symbolic-ref', '-q', '--short', 'HEAD'], { cwd: path, signal })
  const origin = await tryGit(['config', '--get', 'remote.origin.url'], { cwd: path, signal })
  return { branch: branch.stdout.trim() || undefined, origin: origin.stdout.trim() || undefined }
}
