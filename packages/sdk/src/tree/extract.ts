import { randomBytes } from 'node:crypto'
import { closeSync, constants, futimesSync, openSync, rmSync, type Stats, writeSync } from 'node:fs'
import { type FileHandle, link, lstat, mkdir, open, realpath, rename, rm, symlink, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { type ErrorCode, GibilError } from '@gibil/contract'
import { extract, type Header } from 'tar-stream'

export interface ExtractOptions {
  /** All files together may not be larger; default 64 GiB. A sparse file in a box can claim any size. */
  readonly maxBytes?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface ExtractResult {
  readonly files: number
  readonly bytes: number
  /** What was left out on purpose, and why. */
  readonly skipped: readonly { readonly path: string; readonly reason: string }[]
}

const defaultMaxBytes = 64 * 1024 ** 3
const maxEntries = 2_000_000
const maxNotes = 1000
/** A file up to this size is held in memory and written at once. */
const smallBytes = 64 * 1024

interface Run {
  readonly root: string
  readonly maxBytes: number
  /** Directories known to be real ones below the root. Nothing here ever replaces a directory, so this stays true. */
  readonly directories: Set<string>
  /** Regular files of this run: the only things a hard link may name. */
  readonly written: Set<string>
  readonly links: { readonly parts: readonly string[]; readonly target: string }[]
  readonly skipped: { path: string; reason: string }[]
  files: number
  bytes: number
}

/**
 * Unpacks a tar stream that a box made, which is hostile input: nothing is written outside of `target`, no symlink is
 * followed, links that leave the tree, devices and pipes are left out, and setuid and setgid are dropped. Links are made
 * last, so that no entry can go through one. Throws `boxd_protocol` for names that no honest box sends, `file_conflict`
 * where something local is in the way, `invalid_path`, `disk_full` and `permission_denied` where this machine's file system refuses.
 */
export async function extractTree(
  source: Readable,
  target: string,
  options: ExtractOptions = {},
): Promise<ExtractResult> {
  await mkdir(target, { recursive: true })
  const root = await realpath(target)
  const run: Run = {
    root,
    maxBytes: options.maxBytes ?? defaultMaxBytes,
    directories: new Set([root]),
    written: new Set(),
    links: [],
    skipped: [],
    files: 0,
    bytes: 0,
  }
  const unpacked = extract()
  // It may have failed while the target was made: then nobody heard of it, and a pipe from it would never end.
  if (source.errored) unpacked.destroy(source.errored)
  source.once('error', (error) => unpacked.destroy(error))
  source.pipe(unpacked)
  let entries = 0
  try {
    for await (const entry of unpacked) {
      options.signal?.throwIfAborted()
      entries += 1
      if (entries > maxEntries) throw hostile(`more than ${maxEntries} entries`)
      // tar-stream waits for ever for the end of an entry whose size it could not read.
      if (!Number.isSafeInteger(entry.header.size)) throw hostile('an entry of no size that can be read')
      await unpackEntry(run, entry.header, entry)
      entry.resume()
    }
    for (const { parts, target: linkTarget } of run.links) await makeSymlink(run, parts, linkTarget)
  } catch (error) {
    if (GibilError.is(error) || options.signal?.aborted) throw error
    throw localFailure(error) ?? new GibilError('boxd_protocol', 'The box sent a damaged archive.', { cause: error })
  } finally {
    source.destroy()
    unpacked.destroy()
  }
  return { files: run.files, bytes: run.bytes, skipped: run.skipped }
}

/** What this machine's file system said, of errno(3), and what it means for a download. */
const systemCodes: Readonly<Record<string, ErrorCode>> = {
  ENAMETOOLONG: 'invalid_path',
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
  EACCES: 'permission_denied',
  EPERM: 'permission_denied',
  EROFS: 'permission_denied',
}

/** The error of a system call on this side; undefined for any other. */
function localFailure(error: unknown): GibilError | undefined {
  if (!(error instanceof Error && 'syscall' in error && 'code' in error)) return undefined
  const hint = 'Choose another target on this machine, or make room or rights there.'
  return new GibilError(systemCodes[String(error.code)] ?? 'file_conflict', `On this machine: ${error.message}.`, {
    hint,
    cause: error,
  })
}

const hostile = (what: string): GibilError =>
  new GibilError('boxd_protocol', `The box sent an archive with ${what}; it was not unpacked any further.`)

async function unpackEntry(run: Run, header: Header, content: AsyncIterable<unknown>): Promise<void> {
  const parts = safeParts(header.name)
  if (header.type === 'directory') {
    await ensureDirectory(run, parts, header.mode)
    return
  }
  if (parts.length === 0) throw hostile('a file that has no name')
  if (header.type === 'file' || header.type === 'contiguous-file') return writeFile(run, parts, header, content)
  if (header.type === 'symlink') {
    run.links.push({ parts, target: header.linkname ?? '' })
    return
  }
  if (header.type === 'link') return makeHardLink(run, parts, safeParts(header.linkname ?? ''))
  skip(run, parts, `is a ${header.type ?? 'thing of an unknown kind'}`)
}

/** The components of a relative name; `.` and empty ones are dropped. */
function safeParts(name: string): string[] {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (name.startsWith('/') || parts.includes('..') || name.includes('\0'))
    throw hostile(`the name ${JSON.stringify(name.slice(0, 200))}`)
  return parts
}

function skip(run: Run, parts: readonly string[], reason: string): void {
  if (run.skipped.length < maxNotes) run.skipped.push({ path: parts.join('/'), reason })
}

const existing = (path: string): Promise<Stats | undefined> =>
  lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })

/** Makes directories one by one, refusing to pass through anything that is not a real directory. */
async function ensureDirectory(run: Run, parts: readonly string[], mode = 0o755): Promise<string> {
  let path = run.root
  for (const [index, part] of parts.entries()) {
    path = join(path, part)
    if (run.directories.has(path)) continue
    const info = await existing(path)
    if (info === undefined) await mkdir(path, ((index === parts.length - 1 ? mode : 0o755) & 0o777) | 0o700)
    else if (!info.isDirectory()) {
      throw new GibilError('file_conflict', `${path} is in the way: it is not a directory.`, {
        hint: 'Remove it first, or choose another target.',
      })
    }
    run.directories.add(path)
  }
  return path
}

const newFile = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

async function writeFile(
  run: Run,
  parts: readonly string[],
  header: Header,
  content: AsyncIterable<unknown>,
): Promise<void> {
  run.bytes += header.size ?? 0
  if (run.bytes > run.maxBytes) {
    throw new GibilError('payload_too_large', `What the box sends is larger than ${run.maxBytes} bytes.`, {
      hint: 'Copy a part of it, or raise the limit (maxBytes).',
    })
  }
  const directory = await ensureDirectory(run, parts.slice(0, -1))
  const path = join(directory, parts.at(-1) ?? '')
  const mode = (header.mode ?? 0o644) & 0o777
  const mtime = header.mtime && Number.isFinite(header.mtime.getTime()) ? header.mtime : undefined
  const small = (header.size ?? 0) <= smallBytes ? await whole(content) : undefined
  if (!small || !writeNew(path, small, mode, mtime))
    await writeBeside(directory, path, small ? [small] : content, mode, mtime)
  run.written.add(path)
  run.files += 1
}

async function whole(content: AsyncIterable<unknown>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for await (const piece of content) if (piece instanceof Uint8Array) pieces.push(piece)
  return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces)
}

/**
 * Makes a small file where nothing is; false when something is there. It does not wait: through the pool of threads its four calls to the kernel
 * would take ten times as long, and trees have thousands of such files. Between them the event loop has its turns.
 */
function writeNew(path: string, data: Uint8Array, mode: number, mtime: Date | undefined): boolean {
  let file: number
  try {
    file = openSync(path, newFile, mode)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
  try {
    for (let at = 0; at < data.length; ) at += writeSync(file, data, at)
    if (mtime) futimesSync(file, mtime, mtime)
  } catch (error) {
    rmSync(path, { force: true })
    throw error
  } finally {
    closeSync(file)
  }
  return true
}

async function writeBeside(
  directory: string,
  path: string,
  content: AsyncIterable<unknown> | Iterable<unknown>,
  mode: number,
  mtime: Date | undefined,
): Promise<void> {
  const info = await existing(path)
  if (info?.isDirectory()) {
    throw new GibilError('file_conflict', `${path} is in the way: it is a directory.`, { hint: 'Remove it first.' })
  }
  // A new file beside it, then a rename: what was there (also a symlink) is replaced, never written through.
  const temporary = info ? join(directory, `.gibil-${randomBytes(8).toString('hex')}`) : path
  const file = await open(temporary, newFile, mode)
  try {
    await fill(file, content, mtime)
    if (info) await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

async function fill(
  file: FileHandle,
  content: AsyncIterable<unknown> | Iterable<unknown>,
  mtime: Date | undefined,
): Promise<void> {
  try {
    for await (const chunk of content) if (chunk instanceof Uint8Array) await file.write(chunk)
    if (mtime) await file.utimes(mtime, mtime)
  } finally {
    await file.close()
  }
}

async function makeHardLink(run: Run, parts: readonly string[], target: readonly string[]): Promise<void> {
  const source = join(run.root, ...target)
  if (!run.written.has(source)) return skip(run, parts, 'is a hard link to something outside of the archive')
  const path = join(await ensureDirectory(run, parts.slice(0, -1)), parts.at(-1) ?? '')
  if (path === source || !(await clear(path))) return skip(run, parts, 'something is in the way')
  await link(source, path)
  run.written.add(path)
  run.files += 1
}

/**
 * A symlink may climb by leading `..` no further than the root, and must go down from there only. With real directories
 * above it, and all other links made by the same rule, no chain of them can leave the tree.
 */
async function makeSymlink(run: Run, parts: readonly string[], target: string): Promise<void> {
  const steps = target.split('/').filter((step) => step !== '' && step !== '.')
  const climbs = steps.findIndex((step) => step !== '..')
  const up = climbs === -1 ? steps.length : climbs
  const leaves = target.startsWith('/') || up > parts.length - 1 || steps.slice(up).includes('..')
  if (target === '' || target.includes('\0') || leaves) return skip(run, parts, 'is a link that leaves the tree')
  const path = join(await ensureDirectory(run, parts.slice(0, -1)), parts.at(-1) ?? '')
  if (!(await clear(path))) return skip(run, parts, 'something is in the way')
  await symlink(target, path)
}

/** Removes a file or link that is in the way; false when it is a directory. */
async function clear(path: string): Promise<boolean> {
  const info = await existing(path)
  if (info?.isDirectory()) return false
  if (info) await unlink(path)
  return true
}
