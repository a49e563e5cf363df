import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import ignore from 'ignore'
import type { TarEntry } from '../tree/tar-writer.ts'
import { entryOf } from '../tree/walk.ts'
import { baseRef } from './base.ts'
import { gitRecords, tryGit } from './git.ts'
import type { WorkBox } from './work-box.ts'
import { gibilIgnore, openWorkTree, type WorkTree, workTreeEntries } from './work-tree.ts'

export interface PushOptions {
  /** Where to in the box; default: its repository, else ~/project. */
  readonly path?: string | undefined
  /** Send every file, not only what differs from the commit that the box is on. */
  readonly full?: boolean | undefined
  readonly user?: string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface PushResult {
  readonly path: string
  readonly files: number
  readonly deleted: number
  /** Whether every file was sent, since no common commit was found or because it was asked for. */
  readonly full: boolean
}

/**
 * Brings the work of a local directory into a box: in git, what differs from the commit that the box is on (committed or not, also
 * what was deleted); elsewhere every file that the ignore rules leave.
 */
export async function pushTree(box: WorkBox, local: string, options: PushOptions = {}): Promise<PushResult> {
  const { user, signal } = options
  const path = options.path ?? (await box.info({ signal })).repo?.path ?? '~/project'
  const tree = await openWorkTree(local, signal)
  await box.files.mkdir(path, { signal, ...(user === undefined ? {} : { user }) })
  const common = options.full || !tree.git ? undefined : await commonCommit(box, path, tree, options)
  const names = common === undefined ? undefined : await changedNames(tree, common, signal)
  const sent: string[] = []
  const deleted: string[] = []

  async function* entries(): AsyncGenerator<TarEntry> {
    if (!names) {
      for await (const entry of workTreeEntries(tree, signal)) {
        sent.push(entry.name)
        yield entry
      }
      return
    }
    for (const name of names) {
      const entry = await entryOf(tree.root, name)
      if (entry) sent.push(name)
      else deleted.push(name)
      if (entry) yield entry
    }
  }

  await box.files.uploadEntries(entries(), path, { user, signal })
  const list = (items: readonly string[]): string => items.map((name) => `${name}\0`).join('')
  if (deleted.length > 0) {
    await box.run(['xargs', '-0', 'rm', '-f', '--'], { cwd: path, stdin: list(deleted), check: true, user, signal })
  }
  if (common !== undefined) {
    const stdin = list([...sent, ...deleted])
    await box.run(['sh', '-c', moveBase, 'sh', baseRef], { cwd: path, stdin, check: true, user, signal })
  }
  return { path, files: sent.length, deleted: deleted.length, full: names === undefined }
}

/** The base gets the pushed paths, and only these: other changes in the box stay changes. */
const moveBase = `
set -e
index=$(mktemp -u) && trap 'rm -f "$index"' EXIT
export GIT_INDEX_FILE="$index"
git read-tree "$1" 2>/dev/null || git read-tree HEAD
git update-index --add --remove -z --stdin
export GIT_AUTHOR_NAME=gibil GIT_AUTHOR_EMAIL=gibil@localhost GIT_COMMITTER_NAME=gibil GIT_COMMITTER_EMAIL=gibil@localhost
git update-ref "$1" "$(git commit-tree -p HEAD -m 'What this box was given' "$(git write-tree)")"
`

/** The commit of the box, when it is one that this repository has too. */
async function commonCommit(
  box: WorkBox,
  path: string,
  tree: WorkTree,
  { user, signal }: PushOptions,
): Promise<string | undefined> {
  const head = await box.run(['git', 'rev-parse', '--verify', 'HEAD'], { cwd: path, user, signal })
  const commit = head.stdout.trim()
  if (head.exitCode !== 0 || !/^[0-9a-f]{40,64}$/.test(commit)) return undefined
  const known = await tryGit(['cat-file', '-e', `${commit}^{commit}`], { cwd: tree.root, signal })
  return known.status === 0 ? commit : undefined
}

async function changedNames(tree: WorkTree, commit: string, signal?: AbortSignal): Promise<string[]> {
  const rules = ignore().add(await readFile(join(tree.root, gibilIgnore), 'utf8').catch(() => ''))
  const names = new Set<string>()
  const options = { cwd: tree.root, signal }
  const tracked = [
    'diff',
    '--name-only',
    '--no-renames',
    '--ignore-submodules=all',
    '--no-ext-diff',
    '-z',
    commit,
    '--',
  ]
  for await (const name of gitRecords(tracked, options)) names.add(name)
  for await (const name of gitRecords(['ls-files', '-z', '-o', '--exclude-standard'], options)) names.add(name)
  return [...names].filter((name) => !name.endsWith('/') && !rules.ignores(name)).sort()
}
