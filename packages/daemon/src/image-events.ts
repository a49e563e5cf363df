import type { Image } from '@gibil/contract'
import type { ControlPlane } from '@gibil/core'
import type { ImageService } from './api.ts'

/** Tells of every image that comes or goes. Making one again that is there already is no event. */
export function withImageEvents(images: ImageService, { imageEvent }: Pick<ControlPlane, 'imageEvent'>): ImageService {
  const telling = async (make: () => Promise<Image>): Promise<Image> => {
    const before = await images.list()
    const image = await make()
    const { name, digest, source } = image
    if (!before.some((one) => one.name === name && one.digest === digest)) {
      await imageEvent('image.added', { name, digest, source })
    }
    return image
  }
  return {
    list: () => images.list(),
    cloudScript: (recipe) => images.cloudScript(recipe),
    pull: (input, options) => telling(() => images.pull(input, options)),
    build: (input, context, options) => telling(() => images.build(input, context, options)),
    buildSteps: (input, options) => telling(() => images.buildSteps(input, options)),
    importTar: (name, tar, options) => telling(() => images.importTar(name, tar, options)),
    async remove(name, options) {
      await images.remove(name, options)
      await imageEvent('image.removed', { name })
    },
    prune: () => images.prune(),
  }
}
