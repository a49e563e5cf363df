import { createReadStream } from 'node:fs'
import { basename, join, matchesGlob, posix, relative } from 'node:path'
import { GibilError } from '@gibil/contract'
import { decompress } from '../decompress.ts'
import { type Source, type SourceTree, walk } from '../dockerfile/sources.ts'
import type { Operation } from '../operation.ts'
import { unpack } from '../unpack.ts'

/** Unpacks an archive that a client uploaded, into a folder that is not there yet. Throws `image_build_failed`. */
export const openArchive = async (operation: Operation, path: string, folder: string): Promise<SourceTree> => {
  const root = join(folder, 'upload')
  await unpack(await decompress(createReadStream(path)), root, {
    kind: 'tree',
    env: operation.env,
    signal: operation.signal,
    needsEnd: false,
    failure: (message, cause) =>
      new GibilError('image_build_failed', `The uploaded files cannot be used: ${message}`, { cause }),
  })
  return { root, ignores: () => false }
}

/**
 * What a path or pattern means in an upload, in order of name. Links are what they are: none is followed, so that none leads out of it. What
 * is below something that was found is not looked at.
 */
export const sourcesIn = async (tree: SourceTree, pattern: string): Promise<Source[]> => {
  const wanted = posix.normalize(pattern).replace(/\/$/, '')
  if (wanted === '.') return [{ path: tree.root, name: '' }]
  const found: Source[] = []
  for await (const path of walk(tree, tree.root)) {
    if (found.some((source) => path.startsWith(`${source.path}/`))) continue
    const name = relative(tree.root, path)
    if (name === wanted || matchesGlob(name, wanted)) found.push({ path, name: basename(name) })
  }
  return found
}
