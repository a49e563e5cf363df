import { createHash } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { parseJson, writeAtomically } from './files.ts'
import { ImageManifest } from './manifest.ts'
import { sameReference } from './reference.ts'

/**
 * The images by name, and those that lost their name to a newer image while a box uses them. In memory, since every create
 * of a box asks; on disk one file each, replaced by rename.
 */
export interface ManifestStore {
  /** By name (`alpine:3.20` and `docker.io/library/alpine:3.20` are one), or by digest. Throws `image_damaged` when its file is. */
  find(ref: string): ImageManifest | undefined
  all(): readonly ImageManifest[]
  put(manifest: ImageManifest): Promise<void>
  remove(manifest: ImageManifest): Promise<void>
  /** Removes whatever is kept under that name, also a file that cannot be read. */
  removeFile(name: string): Promise<boolean>
}

const fileOf = (key: string): string => {
  const encoded = encodeURIComponent(key)
  return encoded.length <= 200 ? `${encoded}.json` : `${createHash('sha256').update(key).digest('hex')}.json`
}

const keyOf = (manifest: ImageManifest): string => manifest.name ?? manifest.digest

export const openManifestStore = async (folder: string): Promise<ManifestStore> => {
  const images = new Map<string, ImageManifest>()
  const damaged = new Set<string>()
  for (const file of await readdir(folder)) {
    if (!file.endsWith('.json')) {
      // Left by a write that was cut short.
      if (file.endsWith('.tmp')) await rm(join(folder, file), { force: true })
      continue
    }
    const manifest = ImageManifest.safeParse(parseJson(await readFile(join(folder, file), 'utf8')))
    if (manifest.success && file === fileOf(keyOf(manifest.data))) images.set(keyOf(manifest.data), manifest.data)
    else damaged.add(file)
  }
  return {
    find: (ref) => {
      const exact = images.get(ref)
      if (exact) return exact
      if (damaged.has(fileOf(ref))) {
        throw new GibilError('image_damaged', `What is kept of the image ${ref} cannot be read.`, {
          hint: `Remove it by \`gibil image rm ${ref}\`, then build, pull or import it again.`,
        })
      }
      const all = [...images.values()]
      if (ref.startsWith('sha256:')) return all.find((image) => image.digest === ref)
      return all.find((image) => image.name !== null && sameReference(image.name, ref))
    },
    all: () => [...images.values()],
    put: async (manifest) => {
      await writeAtomically(join(folder, fileOf(keyOf(manifest))), JSON.stringify(manifest, null, 2))
      damaged.delete(fileOf(keyOf(manifest)))
      images.set(keyOf(manifest), manifest)
    },
    remove: async (manifest) => {
      await rm(join(folder, fileOf(keyOf(manifest))), { force: true })
      images.delete(keyOf(manifest))
    },
    removeFile: async (name) => {
      const file = fileOf(name)
      const known = damaged.delete(file)
      if (known) await rm(join(folder, file), { force: true })
      return known
    },
  }
}
