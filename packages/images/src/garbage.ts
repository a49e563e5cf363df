import type { BuildCache } from './build-cache.ts'
import type { LayerStore } from './layer-store.ts'
import type { ImageManifest } from './manifest.ts'
import type { ManifestStore } from './manifest-store.ts'

export interface GarbageOptions {
  readonly layers: LayerStore
  readonly manifests: ManifestStore
  readonly cache: BuildCache
  /** Digests that boxes use, or may be about to use. */
  readonly inUse: (digest: string) => boolean
  /** Layers that an operation under way needs. */
  readonly held: (layer: string) => boolean
}

export const layersOf = (images: readonly ImageManifest[]): Set<string> =>
  new Set(images.flatMap((image) => [...image.layers, ...image.buildLayers]))

/** Removes images that lost their name and are not used any more, then every layer that nothing needs. */
export const collectGarbage = async (options: GarbageOptions): Promise<{ removed: string[]; freedBytes: number }> => {
  const { layers, manifests, cache } = options
  for (const image of manifests.all()) {
    if (image.name === null && !options.inUse(image.digest)) await manifests.remove(image)
  }
  const needed = new Set([...layersOf(manifests.all()), ...(await cache.layers())])
  const removed: string[] = []
  let freedBytes = 0
  for (const id of await layers.list()) {
    if (needed.has(id)) continue
    const mark = await layers.check(id)
    if (!(await layers.remove(id, options.held))) continue
    removed.push(id)
    freedBytes += mark?.bytes ?? 0
  }
  return { removed, freedBytes }
}
