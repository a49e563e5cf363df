import { lstat, readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { TarEntry } from '../tree/tar-writer.ts'
import { entryOf, walkTree } from '../tree/walk.ts'
import { cleanConfig } from './clean-config.ts'
import type { WorkTree } from './work-tree.ts'

/** Per work tree, and shared by all of them (gitrepository-layout(5)). Hooks, logs and fetch heads stay at home. */
const ownFiles = ['HEAD', 'index', 'MERGE_HEAD', 'MERGE_MSG', 'CHERRY_PICK_HEAD', 'REVERT_HEAD'] as const
const sharedFiles = ['packed-refs', 'shallow', 'info/exclude', 'info/sparse-checkout', 'info/grafts'] as const
const sharedTrees = ['refs', 'reftable'] as const

/** The git directory of a work tree as it travels: a plain `.git`, whatever it was here, and without any credentials. */
export async function* gitDirectoryEntries(
  tree: WorkTree & { readonly git: NonNullable<WorkTree['git']> },
  extraConfig: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): AsyncGenerator<TarEntry> {
  const { own, common } = tree.git
  yield { name: '.git', kind: 'directory', mode: 0o755 }
  yield* gitParts(own, common, '.git', { ...extraConfig, 'core.bare': 'false' }, new Set(['core.worktree']), signal)
  yield* modules(join(common, 'modules'), '.git/modules', signal)
}

async function* gitParts(
  own: string,
  common: string,
  name: string,
  extraConfig: Readonly<Record<string, string>>,
  without: ReadonlySet<string>,
  signal?: AbortSignal,
): AsyncGenerator<TarEntry> {
  const config = await cleanConfig(join(common, 'config'), extraConfig, without)
  yield { name: `${name}/config`, kind: 'file', mode: 0o644, data: Buffer.from(config) }
  for (const file of ownFiles) yield* one(own, file, name)
  for (const file of sharedFiles) yield* one(common, file, name)
  for (const directory of sharedTrees) yield* below(common, directory, name, signal)
  yield* objects(join(common, 'objects'), `${name}/objects`, signal)
}

async function* one(directory: string, file: string, name: string): AsyncGenerator<TarEntry> {
  const entry = await entryOf(directory, file)
  if (entry?.kind === 'file') yield { ...entry, name: `${name}/${file}` }
}

async function* below(directory: string, sub: string, name: string, signal?: AbortSignal): AsyncGenerator<TarEntry> {
  if (!(await isDirectory(join(directory, sub)))) return
  yield { name: `${name}/${sub}`, kind: 'directory', mode: 0o755 }
  for await (const entry of walkTree(join(directory, sub), { exclude: ['*.lock'], signal })) {
    yield { ...entry, name: `${name}/${sub}/${entry.name}` }
  }
}

/** The object store, together with the stores that it borrows from, which a box cannot reach. */
async function* objects(directory: string, name: string, signal?: AbortSignal): AsyncGenerator<TarEntry> {
  const seen = new Set<string>()
  yield { name, kind: 'directory', mode: 0o755 }
  for (const store of await withAlternates(directory)) {
    for await (const entry of walkTree(store, {
      exclude: ['/info/alternates', '/info/commit-graphs', 'tmp_*', '*.lock'],
      signal,
    })) {
      if (seen.has(entry.name)) continue
      // Only loose objects of several stores can meet; their directories are too many to be worth remembering otherwise.
      if (entry.kind === 'directory') seen.add(entry.name)
      yield { ...entry, name: `${name}/${entry.name}` }
    }
  }
}

async function withAlternates(directory: string, depth = 0): Promise<string[]> {
  const text = depth < 5 ? await readFile(join(directory, 'info/alternates'), 'utf8').catch(() => '') : ''
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const borrowed = await Promise.all(lines.map((line) => withAlternates(resolve(directory, line), depth + 1)))
  return [...new Set([directory, ...borrowed.flat()])]
}

/** Git directories of submodules, which may be nested. */
async function* modules(directory: string, name: string, signal?: AbortSignal): AsyncGenerator<TarEntry> {
  for (const item of await readdir(directory).catch(() => [])) {
    const path = join(directory, item)
    if (!(await isDirectory(path))) continue
    const isRepository = await lstat(join(path, 'HEAD')).catch(() => undefined)
    if (!isRepository) {
      // A submodule called `a/b` lies one directory deeper.
      yield* modules(path, `${name}/${item}`, signal)
      continue
    }
    yield* gitParts(path, path, `${name}/${item}`, {}, new Set(), signal)
    yield* modules(join(path, 'modules'), `${name}/${item}/modules`, signal)
  }
}

const isDirectory = (path: string): Promise<boolean> =>
  lstat(path).then(
    (info) => info.isDirectory(),
    () => false,
  )
