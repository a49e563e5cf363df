import { lstat, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { errnoOf } from './files.ts'

/** As many as Linux follows. */
const maxLinks = 40

/**
 * Where a path of an image lies on this host: symbolic links are followed inside `root` as if it were `/`, so that none leads out. The
 * part that does not exist is taken as it is. Only for a tree that nobody else changes meanwhile. With `follow` false the last
 * part is not followed. Throws `invalid_path` for a loop.
 */
export const scopedPath = async (root: string, path: string, follow = true): Promise<string> => {
  let todo = path.split('/')
  let done: string[] = []
  let links = 0
  while (todo.length > 0) {
    const [part = '', ...rest] = todo
    todo = rest
    if (part === '' || part === '.') continue
    if (part === '..') {
      done = done.slice(0, -1)
      continue
    }
    const here = join(root, ...done, part)
    const last = rest.every((next) => next === '' || next === '.')
    const target = last && !follow ? undefined : await linkAt(here)
    if (target === undefined) done = [...done, part]
    else {
      links += 1
      if (links > maxLinks) throw new GibilError('invalid_path', `${path} goes through too many symbolic links.`)
      if (target.startsWith('/')) done = []
      todo = [...target.split('/'), ...rest]
    }
  }
  return join(root, ...done)
}

const linkAt = async (path: string): Promise<string | undefined> => {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : undefined
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}
