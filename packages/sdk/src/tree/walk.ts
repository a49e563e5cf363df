import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import ignore, { type Ignore } from 'ignore'
import type { TarEntry } from './tar-writer.ts'

export interface WalkOptions {
  /** Patterns in the syntax of .gitignore, relative to the root. */
  readonly exclude?: readonly string[] | undefined
  /** Names of ignore files that hold for the directory they are in, such as `.gitignore`. */
  readonly ignoreFiles?: readonly string[] | undefined
  readonly signal?: AbortSignal | undefined
}

interface Rules {
  /** Relative directory of the ignore file, with a `/` at its end, or empty. */
  readonly base: string
  readonly matcher: Ignore
}

/** All below a directory, sorted, as entries to pack; sockets, devices and pipes are left out. */
export async function* walkTree(root: string, options: WalkOptions = {}): AsyncGenerator<TarEntry> {
  const top: Rules[] = options.exclude?.length ? [{ base: '', matcher: ignore().add([...options.exclude]) }] : []
  yield* walk(root, '', top, options)
}

async function* walk(
  root: string,
  directory: string,
  above: readonly Rules[],
  options: WalkOptions,
): AsyncGenerator<TarEntry> {
  options.signal?.throwIfAborted()
  const rules = [...above, ...(await rulesOf(root, directory, options.ignoreFiles ?? []))]
  const names = (await readdir(join(root, directory))).sort()
  for (const name of names) {
    const path = directory + name
    const entry = await entryOf(root, path)
    if (!entry || isIgnored(rules, path, entry.kind === 'directory')) continue
    yield entry
    if (entry.kind === 'directory') yield* walk(root, `${path}/`, rules, options)
  }
}

async function rulesOf(root: string, base: string, names: readonly string[]): Promise<Rules[]> {
  const rules: Rules[] = []
  for (const name of names) {
    const text = await readFile(join(root, base, name), 'utf8').catch(() => undefined)
    if (text !== undefined) rules.push({ base, matcher: ignore().add(text) })
  }
  return rules
}

/** The deepest file that says anything decides, as git does. */
function isIgnored(rules: readonly Rules[], path: string, isDirectory: boolean): boolean {
  let ignored = false
  for (const { base, matcher } of rules) {
    const result = matcher.test(path.slice(base.length) + (isDirectory ? '/' : ''))
    if (result.ignored) ignored = true
    else if (result.unignored) ignored = false
  }
  return ignored
}

/** What a path is, ready to pack; undefined when it is gone or of a kind that cannot travel. */
export async function entryOf(root: string, name: string): Promise<TarEntry | undefined> {
  const path = join(root, name)
  const info = await lstat(path).catch(() => undefined)
  if (!info) return undefined
  const common = { name, mode: info.mode & 0o777, mtimeMs: info.mtimeMs }
  if (info.isDirectory()) return { ...common, kind: 'directory' }
  if (info.isSymbolicLink()) return { ...common, kind: 'symlink', target: await readlink(path) }
  if (info.isFile()) return { ...common, kind: 'file', path }
  return undefined
}
