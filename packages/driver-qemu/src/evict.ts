import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { namesIn, readIfThere } from '@gibil/host'
import type { Context } from './context.ts'
import { stoodOn } from './stands-on.ts'

/** Frozen machines, and disks of images, that are kept though no box is made on them: some hundred MiB each. */
const kept = 4

/**
 * Removes the longest unused frozen machines and image disks beyond a few. What a box's disk holds the difference to is never removed: the box could not
 * start again without it. `spare`: what is about to be used.
 */
export async function evict(context: Pick<Context, 'names' | 'log'>, spare: readonly string[]): Promise<void> {
  const { cacheDir } = context.names
  const frozen = join(cacheDir, 'frozen')
  const images = join(cacheDir, 'images')
  const stands = await stoodOn(context.names)
  // What a damaged box stands on cannot be told, so all stays until it is destroyed.
  if (stands === undefined) return
  const used = new Set([...stands, ...spare])
  for (const name of await surplus(frozen, used, (path) => join(path, 'done'))) {
    await rm(join(frozen, name), { recursive: true, force: true })
    context.log('info', 'removed a frozen machine that was not used', { key: name })
  }
  for (const name of await namesIn(frozen)) {
    // What is there of it before it is done is being made on a disk that `spare` names.
    const base = await readIfThere(join(frozen, name, 'done'))
    if (base) used.add(base)
  }
  for (const name of await surplus(images, used, (path) => path)) {
    await rm(join(images, name), { force: true })
    context.log('info', 'removed the disk of an image that was not used', { disk: name })
  }
}

async function surplus(
  directory: string,
  used: ReadonlySet<string>,
  markOf: (path: string) => string,
): Promise<string[]> {
  const unused = (await namesIn(directory)).filter((name) => !used.has(join(directory, name)))
  const aged = await Promise.all(
    unused.map(async (name) => {
      const mark = await stat(markOf(join(directory, name))).catch(() => undefined)
      return { name, at: mark?.mtimeMs }
    }),
  )
  // One without a mark is being made just now.
  return aged
    .flatMap(({ name, at }) => (at === undefined ? [] : [{ name, at }]))
    .sort((a, b) => b.at - a.at)
    .slice(kept)
    .map(({ name }) => name)
}
