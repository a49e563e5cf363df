import { constants, type FileHandle, mkdir, open, readlink } from 'node:fs/promises'
import { GibilError } from '@gibil/contract'
import { errnoOf } from '@gibil/host'

/**
 * Ways through a tree that others change meanwhile, who may put a link to anywhere in place of a directory. Each step opens one name below a directory
 * that is open already, follows no link by the kernel, and resolves those that it finds within the tree, so that no way leads out of it. Node has no
 * `openat`(2): `/proc/self/fd/<n>/<name>` is the same.
 */

/** O_PATH of asm-generic/fcntl.h, which Node does not name: what is opened so is held, and neither read nor written. */
const O_PATH = 0o10000000
const held = O_PATH | constants.O_NOFOLLOW

/** As many as Linux follows (MAXSYMLINKS). */
const mostLinks = 40
/** PATH_MAX. */
const longestPath = 4096

/** A name in a directory that is held open. */
export interface Place {
  readonly directory: FileHandle
  readonly name: string
}

/** The path of what is open, whatever it is called by now. */
export const pathOf = ({ fd }: FileHandle): string => `/proc/self/fd/${fd}`
export const pathAt = ({ directory, name }: Place): string => `${pathOf(directory)}/${name}`

/** Without "//", "." and "..": `/` is the root of the tree. Throws `invalid_path`. */
export function cleanPath(path: string): string {
  if (path === '' || path.includes('\0') || Buffer.byteLength(path) > longestPath) {
    throw new GibilError('invalid_path', 'A path has 1 to 4096 bytes, and no NUL.', {
      hint: 'Give a path in the volume, such as /data/file.',
    })
  }
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return `/${parts.join('/')}`
}

interface WalkOptions {
  /** Makes a directory that is missing on the way, and is told of it. */
  readonly make?: ((place: Place) => Promise<void>) | undefined
}

/** Works with the place that a path means, whose last name is not followed. Undefined stands for the root. */
export async function atPlace<T>(
  root: string,
  path: string,
  work: (place: Place | undefined, top: FileHandle) => Promise<T>,
  options: WalkOptions = {},
): Promise<T> {
  const way: FileHandle[] = [await open(root, O_PATH | constants.O_DIRECTORY)]
  try {
    const parts = cleanPath(path).split('/').filter(Boolean)
    const name = parts.pop()
    await walk(way, parts, options)
    const directory = top(way)
    return await work(name === undefined ? undefined : { directory, name }, directory)
  } finally {
    await closeAll(way)
  }
}

/** Opens what a path leads to at last, without reading it. The caller closes it. */
export async function hold(root: string, path: string): Promise<FileHandle> {
  const way: FileHandle[] = [await open(root, O_PATH | constants.O_DIRECTORY)]
  try {
    let rest = cleanPath(path).split('/').filter(Boolean)
    for (let links = 0; ; links += 1) {
      const name = rest.pop()
      await walk(way, rest)
      // A link may end at the root or in a directory above.
      if (name === undefined || name === '.' || name === '..') {
        if (name === '..') await up(way)
        return await open(`${pathOf(top(way))}/.`, held | constants.O_DIRECTORY)
      }
      const found = await open(pathAt({ directory: top(way), name }), held)
      if (!(await found.stat()).isSymbolicLink()) return found
      await found.close()
      rest = await target(way, name, links)
    }
  } finally {
    await closeAll(way)
  }
}

/** Goes through directories, and links to such. */
async function walk(way: FileHandle[], parts: readonly string[], { make }: WalkOptions = {}): Promise<void> {
  const rest = [...parts]
  let links = 0
  for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
    if (part === '' || part === '.') continue
    if (part === '..') {
      await up(way)
      continue
    }
    const place = { directory: top(way), name: part }
    try {
      way.push(await open(pathAt(place), held | constants.O_DIRECTORY))
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === 'ENOENT' && make) {
        await mkdir(pathAt(place)).catch((clash) => {
          if (errnoOf(clash) !== 'EEXIST') throw clash
        })
        await make(place)
        rest.unshift(part)
      } else if (errno === 'ENOTDIR' || errno === 'ELOOP') {
        rest.unshift(...(await target(way, part, links)))
        links += 1
      } else throw error
    }
  }
}

/** Where a link leads: the rest of the way from where it is then. Throws ENOTDIR for what is none. */
async function target(way: FileHandle[], name: string, links: number): Promise<string[]> {
  if (links >= mostLinks) throw Object.assign(new Error('too many links'), { code: 'ELOOP' })
  const text = await readlink(pathAt({ directory: top(way), name })).catch((error) => {
    throw errnoOf(error) === 'EINVAL' ? Object.assign(new Error('no directory'), { code: 'ENOTDIR' }) : error
  })
  if (text.startsWith('/')) await closeAll(way.splice(1))
  return text.split('/').filter((part) => part !== '')
}

async function up(way: FileHandle[]): Promise<void> {
  if (way.length > 1) await way.pop()?.close()
}

const top = (way: readonly FileHandle[]): FileHandle => {
  const last = way.at(-1)
  if (last) return last
  throw new GibilError('internal', 'A way has lost its root.')
}

const closeAll = async (way: readonly FileHandle[]): Promise<void> => {
  await Promise.all(way.map((one) => one.close()))
}
