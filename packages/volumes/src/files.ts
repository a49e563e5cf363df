import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import {
  chmod,
  chown,
  constants,
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rm,
} from 'node:fs/promises'
import { posix } from 'node:path'
import { type ErrorCode, GibilError } from '@gibil/contract'
import type { VolumeEntry, VolumeFiles, VolumeOwnership, VolumeWrite } from '@gibil/core'
import { errnoOf } from '@gibil/host'
import { removeTree } from './remove.ts'
import { atPlace, cleanPath, hold, type Place, pathAt, pathOf } from './walk.ts'

/** As a box has them. The users of boxes begin at 1000, and whoever they are they may change what was put in for them. */
const usualId = 1000
const usualMode = { file: 0o666, directory: 0o777 } as const
const mostEntries = 20_000
/** What is written is called so until it is whole. */
const temporaryName = (): string => `.gibil-${randomBytes(8).toString('hex')}`

type Use = <T>(work: (root: string) => Promise<T>) => Promise<T>

/** The files below the root directory that `use` gives. */
export function filesOf(use: Use): VolumeFiles {
  const at = <T>(path: string, work: (root: string) => Promise<T>): Promise<T> =>
    use(work).catch((error) => {
      throw asGibilError(path, error)
    })

  return {
    stat: (path) => at(path, (root) => entryOf(root, path)),
    list: (path, depth) =>
      at(path, async (root) => {
        const directory = await hold(root, path)
        try {
          const entries: VolumeEntry[] = []
          await collect(await openHeld(directory, constants.O_DIRECTORY), cleanPath(path), depth, entries)
          return entries
        } finally {
          await directory.close()
        }
      }),
    makeDirectory: (path, options) =>
      at(path, async (root) => {
        await atPlace(root, path, (place) => makeDirectory(place, options), parentsOf(options))
        return entryOf(root, path)
      }),
    async read(path) {
      const opened = Promise.withResolvers<{ file: FileHandle; size: number }>()
      const closed = Promise.withResolvers<void>()
      at(path, async (root) => {
        const file = await openFile(root, path)
        try {
          opened.resolve({ file, size: (await file.stat()).size })
          await closed.promise
        } finally {
          await file.close()
        }
      }).catch(opened.reject)
      const { file, size } = await opened.promise
      return { size, content: streamOf(file, size, closed.resolve) }
    },
    write: (path, content, options) =>
      at(path, async (root) => {
        await atPlace(root, path, (place) => writeFile(place, path, content, options), parentsOf(options))
        return entryOf(root, path)
      }),
    change: (path, options) =>
      at(path, async (root) => {
        const found = await hold(root, path)
        try {
          await own(found, options)
        } finally {
          await found.close()
        }
        return entryOf(root, path)
      }),
    remove: (path) =>
      at(path, (root) =>
        atPlace(root, path, async (place) => {
          if (place === undefined) throw new GibilError('invalid_path', 'The root of a volume cannot be removed.')
          await removeTree(place)
        }),
      ),
  }
}

const entryOf = (root: string, path: string): Promise<VolumeEntry> =>
  atPlace(root, path, async (place, top) =>
    place === undefined ? entry('/', await top.stat()) : entryAt(place, cleanPath(path)),
  )

async function entryAt(place: Place, path: string): Promise<VolumeEntry> {
  const stats = await lstat(pathAt(place))
  if (!stats.isSymbolicLink()) return entry(path, stats)
  return { ...entry(path, stats), target: await readlink(pathAt(place)) }
}

const entry = (path: string, stats: Stats): VolumeEntry => ({
  name: path === '/' ? '/' : posix.basename(path),
  type: stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : stats.isSymbolicLink() ? 'symlink' : 'unknown',
  path,
  size: stats.size,
  mode: stats.mode & 0o777,
  uid: stats.uid,
  gid: stats.gid,
  atime: stats.atime,
  mtime: stats.mtime,
  ctime: stats.ctime,
})

/** Takes over the directory, and closes it. */
async function collect(directory: FileHandle, path: string, depth: number, into: VolumeEntry[]): Promise<void> {
  try {
    for (const name of (await readdir(pathOf(directory))).toSorted()) {
      const place = { directory, name }
      const found = await ifThere(entryAt(place, posix.join(path, name)))
      if (!found) continue
      into.push(found)
      if (into.length > mostEntries) {
        throw new GibilError('limit_reached', `${path} holds more than the ${mostEntries} entries of one answer.`, {
          hint: 'List a directory below, or less deep.',
        })
      }
      if (found.type !== 'directory' || depth <= 1) continue
      const below = await ifThere(open(pathAt(place), constants.O_DIRECTORY | constants.O_NOFOLLOW))
      if (below) await collect(below, found.path, depth - 1, into)
    }
  } finally {
    await directory.close()
  }
}

const parentsOf = ({ force, uid, gid }: VolumeWrite) =>
  force ? { make: (place: Place) => ownNew(place, { uid, gid, mode: usualMode.directory }) } : {}

async function makeDirectory(place: Place | undefined, options: VolumeWrite): Promise<void> {
  if (place === undefined) {
    if (options.force) return
    throw new GibilError('file_conflict', 'The root of the volume is there already.')
  }
  try {
    await mkdir(pathAt(place))
  } catch (error) {
    const there = errnoOf(error) === 'EEXIST' && options.force && (await lstat(pathAt(place))).isDirectory()
    if (there) return
    throw error
  }
  await ownNew(place, { ...options, mode: options.mode ?? usualMode.directory })
}

async function writeFile(
  place: Place | undefined,
  path: string,
  content: AsyncIterable<Uint8Array>,
  { force, uid, gid, mode }: VolumeWrite,
): Promise<void> {
  if (place === undefined) throw new GibilError('file_conflict', `${path} is a directory.`)
  const temporary = { ...place, name: temporaryName() }
  const file = await open(pathAt(temporary), constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
  try {
    try {
      for await (const piece of content) await file.writeFile(piece)
      await own(file, { uid: uid ?? usualId, gid: gid ?? usualId, mode: mode ?? usualMode.file })
    } finally {
      await file.close()
    }
    // A link to it, since that is refused where something is, and renaming is not.
    if (force) await rename(pathAt(temporary), pathAt(place))
    else await link(pathAt(temporary), pathAt(place))
  } finally {
    await rm(pathAt(temporary), { force: true })
  }
}

async function ownNew(place: Place, { uid = usualId, gid = usualId, mode }: VolumeOwnership): Promise<void> {
  const made = await open(pathAt(place), constants.O_DIRECTORY | constants.O_NOFOLLOW)
  try {
    await own(made, { uid, gid, mode })
  } finally {
    await made.close()
  }
}

/** By what is open, whatever has its name by now. A change of the owner takes away bits of the mode, so the mode comes last. */
async function own(file: FileHandle, { uid, gid, mode }: VolumeOwnership): Promise<void> {
  if (uid !== undefined || gid !== undefined) {
    const stats = await file.stat()
    await chown(pathOf(file), uid ?? stats.uid, gid ?? stats.gid)
  }
  if (mode !== undefined) await chmod(pathOf(file), mode & 0o777)
}

/** To be read: nothing waits for the other end of a pipe. */
async function openFile(root: string, path: string): Promise<FileHandle> {
  const found = await hold(root, path)
  try {
    if ((await found.stat()).isFile()) return await openHeld(found, constants.O_NONBLOCK)
    throw new GibilError('file_conflict', `${path} is no file.`)
  } finally {
    await found.close()
  }
}

const openHeld = (found: FileHandle, flags: number): Promise<FileHandle> => open(pathOf(found), flags)

/** As much as was there when it was opened: what a box adds meanwhile is not announced. */
function streamOf(file: FileHandle, size: number, done: () => void): ReadableStream<Uint8Array> {
  let left = size
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(Math.min(left, 256 * 1024)))
        left -= bytesRead
        if (bytesRead > 0) controller.enqueue(buffer.subarray(0, bytesRead))
        else if (left > 0) throw new GibilError('file_conflict', 'The file was cut while it was read.')
        if (left > 0) return
        controller.close()
        done()
      } catch (error) {
        done()
        throw error
      }
    },
    cancel: () => done(),
  })
}

async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error) => {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  })
}

const reasons: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOENT: ['file_not_found', 'is not there'],
  EEXIST: ['file_conflict', 'is there already'],
  EISDIR: ['file_conflict', 'is a directory'],
  ENOTEMPTY: ['file_conflict', 'is a directory that is not empty'],
  ENOTDIR: ['file_conflict', 'leads through something that is no directory, or is none'],
  EPERM: ['file_conflict', 'cannot be changed'],
  ETXTBSY: ['file_conflict', 'is in use'],
  ELOOP: ['invalid_path', 'leads through too many links'],
  ENAMETOOLONG: ['invalid_path', 'has a name that is too long'],
  ENOSPC: ['disk_full', 'does not fit: the volume is full'],
}

function asGibilError(path: string, error: unknown): unknown {
  const reason = reasons[String(errnoOf(error))]
  if (GibilError.is(error) || !reason) return error
  return new GibilError(reason[0], `${path.slice(0, 200)} ${reason[1]}.`, { cause: error })
}
