import { mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { namesIn } from '@gibil/host'
import type { HostKit } from '@gibil/hostkit-client'

/** Copying a prepared file system takes a few milliseconds, making one tens. */
export interface DiskTemplates {
  /** A path of a prepared disk image of that size; made at first need. */
  get(sizeMib: number): Promise<string>
}

/** Templates are a few MiB on the host each; the longest unused ones beyond this number go. */
const kept = 16
const named = /^ext4-\d+\.img$/

export function createDiskTemplates(directory: string, hostkit: HostKit): DiskTemplates {
  const known = new Map<number, Promise<string>>()

  async function make(sizeMib: number): Promise<string> {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const image = join(directory, `ext4-${sizeMib}.img`)
    await hostkit.diskCreate({ image, sizeMib })
    await evict(image)
    return image
  }

  async function evict(newest: string): Promise<void> {
    const images = (await namesIn(directory)).filter((name) => named.test(name)).map((name) => join(directory, name))
    const aged = await Promise.all(images.map(async (image) => ({ image, at: (await stat(image)).mtimeMs })))
    const surplus = aged
      .filter(({ image }) => image !== newest)
      .sort((a, b) => b.at - a.at)
      .slice(kept - 1)
    for (const { image } of surplus) {
      await rm(image, { force: true })
      known.delete(Number(/ext4-(\d+)/.exec(image)?.[1]))
    }
  }

  return {
    get(sizeMib) {
      const already = known.get(sizeMib)
      if (already) return already
      const made = make(sizeMib)
      known.set(sizeMib, made)
      // A failure is not remembered: the next box tries again.
      made.catch(() => known.delete(sizeMib))
      return made
    },
  }
}
