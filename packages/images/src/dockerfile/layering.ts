import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { cacheKey } from '../build-cache.ts'
import { makeFolder } from '../files.ts'
import type { Operation } from '../operation.ts'
import { pullImage } from '../pull-image.ts'
import type { Stage } from './stage.ts'
import type { Build } from './step.ts'

/** How steps become layers, whatever language they are written in. */
export interface Layering extends Pick<Build, 'layer'> {
  /** The ids of all layers that were made or found. */
  readonly made: ReadonlySet<string>
  /** A new folder of the operation, for root only. */
  newFolder(): Promise<string>
  /** An image of this machine, else of a registry, as what a build begins with. Throws `image_pull_failed`, `image_damaged`. */
  stageOfImage(reference: string): Promise<Stage>
  /** The layers of an image that is not, or not yet, kept under a name. */
  stageOfLayers(name: string, image: Pick<Stage, 'layers' | 'config'>): Promise<Stage>
}

export interface LayeringOptions {
  /** In keys of the cache: what one language makes is nothing to another. */
  readonly language: string
  /** Whether the step under way must be done again, whatever is in the cache. */
  readonly isFresh: () => boolean
  readonly say: (line: string) => void
}

export const createLayering = (operation: Operation, { language, isFresh, say }: LayeringOptions): Layering => {
  const made = new Set<string>()
  const images = new Map<string, Stage>()
  let folders = 0

  const newFolder = async (): Promise<string> => {
    folders += 1
    const folder = join(operation.folder, `step-${folders}`)
    await makeFolder(folder, 0o700)
    return folder
  }

  const stageOfLayers: Layering['stageOfLayers'] = async (name, { layers, config }) => {
    operation.keep(layers)
    for (const id of layers) {
      if (!(await operation.layers.check(id))) throw new GibilError('image_damaged', `The image ${name} is damaged.`)
    }
    return { name, layers, config, args: {} }
  }

  return {
    made,
    newFolder,
    stageOfLayers,
    layer: async (stage, key, make) => {
      const full = cacheKey([language, 1, operation.arch, stage.layers, key])
      const hit = isFresh() ? undefined : await operation.cached(full)
      if (hit) say('cached')
      let id = hit?.layer
      if (id === undefined) {
        const folder = await newFolder()
        const tree = await make(folder)
        id = (await readdir(tree)).length === 0 ? null : (await operation.commit(tree)).id
        await operation.cache.put(full, id)
        await rm(folder, { recursive: true, force: true })
      }
      if (id === null) return stage
      made.add(id)
      return { ...stage, layers: [...stage.layers, id] }
    },
    stageOfImage: async (ref) => {
      const known = images.get(ref)
      if (known) return known
      const local = operation.manifests.find(ref)
      const image = local ?? (await pullImage({ ...operation, folder: await newFolder() }, { reference: ref }, ref))
      const stage = await stageOfLayers(ref, image)
      images.set(ref, stage)
      return stage
    },
  }
}
