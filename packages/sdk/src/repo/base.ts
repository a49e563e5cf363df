import { copyFile, mkdir, mkdtemp, readFile, rm, stat, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ignore from 'ignore'
import type { TarEntry } from '../tree/tar-writer.ts'
import { walkTree } from '../tree/walk.ts'
import { git, gitRecords, tryGit } from './git.ts'
import { gibilIgnore, type WorkTree } from './work-tree.ts'

/** Marks in the box what it had from here: a patch that is pulled holds what changed since, and not what was sent. */
export const baseRef = 'refs/gibil/base'

const identity = {
  GIT_AUTHOR_NAME: 'gibil',
  GIT_AUTHOR_EMAIL: 'gibil@localhost',
  GIT_COMMITTER_NAME: 'gibil',
  GIT_COMMITTER_EMAIL: 'gibil@localhost',
}

export interface Base extends AsyncDisposable {
  /** The new objects and the ref, to pack beside the git directory. */
  entries(): AsyncGenerator<TarEntry>
}

/**
 * A commit of the work tree as it is, with uncommitted and untracked work. Its objects are made in a temporary directory, so that the
 * repository itself is not touched. Undefined where refs are not files.
 */
export async function createBase(
  tree: WorkTree & { git: NonNullable<WorkTree['git']> },
  signal?: AbortSignal,
): Promise<Base | undefined> {
  const { own, common } = tree.git
  const format = await tryGit(['config', '--file', join(common, 'config'), 'extensions.refstorage'], {
    cwd: tree.root,
    signal,
  })
  if (format.stdout.trim() === 'reftable') return undefined
  const directory = await mkdtemp(join(tmpdir(), 'gibil-base-'))
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true })
  try {
    const objects = join(directory, 'objects')
    await mkdir(objects)
    await copyIndex(join(own, 'index'), join(directory, 'index'))
    const env = {
      ...identity,
      GIT_INDEX_FILE: join(directory, 'index'),
      GIT_OBJECT_DIRECTORY: objects,
      GIT_ALTERNATE_OBJECT_DIRECTORIES: join(common, 'objects'),
    }
    const options = { cwd: tree.root, env, signal }
    await git(['-c', 'core.fsmonitor=false', '-c', 'core.safecrlf=false', 'add', '-A'], options)
    await dropIgnored(tree, options)
    const written = (await git(['write-tree'], options)).trim()
    const head = await tryGit(['rev-parse', '-q', '--verify', 'HEAD'], options)
    const parent = head.status === 0 ? ['-p', head.stdout.trim()] : []
    const commit = (
      await git(
        ['-c', 'commit.gpgsign=false', 'commit-tree', ...parent, '-m', 'What this box was given', written],
        options,
      )
    ).trim()
    return {
      async *entries() {
        for await (const entry of walkTree(objects, { signal })) yield { ...entry, name: `.git/objects/${entry.name}` }
        for (const name of ['.git/refs', '.git/refs/gibil']) yield { name, kind: 'directory', mode: 0o755 }
        yield { name: `.git/${baseRef}`, kind: 'file', mode: 0o644, data: Buffer.from(`${commit}\n`) }
      },
      [Symbol.asyncDispose]: remove,
    }
  } catch (error) {
    await remove()
    throw error
  }
}

/**
 * With its time: git looks into files that are as young as the index, since it cannot know them from their times alone, and an
 * index that looks younger than it is would hide what was changed right after it was written.
 */
async function copyIndex(from: string, to: string): Promise<void> {
  const info = await stat(from).catch(() => undefined)
  if (!info) return
  await copyFile(from, to)
  await utimes(to, info.atime, Math.floor(info.mtimeMs / 1000))
}

/** What .gibilignore keeps at home must not look deleted in the box. */
async function dropIgnored(tree: WorkTree, options: Parameters<typeof git>[1]): Promise<void> {
  const rules = await readFile(join(tree.root, gibilIgnore), 'utf8').catch(() => undefined)
  if (rules === undefined) return
  const matcher = ignore().add(rules)
  const names: string[] = []
  for await (const name of gitRecords(['ls-files', '-z'], options)) if (matcher.ignores(name)) names.push(name)
  await git(['update-index', '-z', '--force-remove', '--stdin'], {
    ...options,
    input: names.map((name) => `${name}\0`).join(''),
  })
}
