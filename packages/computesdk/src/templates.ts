import type { CreateTemplateOptions, ListTemplatesOptions } from '@computesdk/provider'
import type { Image } from '@gibil/sdk'
import { clientOf, type GibilConfig } from './client.ts'

/** One of: an image of a registry, a recipe of Gibil, or a directory with a Dockerfile. */
interface Sources extends CreateTemplateOptions {
  readonly image?: string
  readonly recipe?: string
  readonly context?: string
  readonly dockerfile?: string
}

export const templateMethods = {
  async create(config: GibilConfig, options: CreateTemplateOptions): Promise<Image> {
    const { name, image, recipe, context, dockerfile }: Sources = options
    const { images } = clientOf(config)
    if (image !== undefined) return images.pull({ reference: image, name })
    const source = {
      ...(recipe === undefined ? {} : { recipe }),
      ...(context === undefined ? {} : { context }),
      ...(dockerfile === undefined ? {} : { dockerfile }),
    }
    return images.build({ name, ...source })
  },
  async list(config: GibilConfig, { limit }: ListTemplatesOptions = {}): Promise<Image[]> {
    return (await clientOf(config).images.list()).slice(0, limit)
  },
  delete: (config: GibilConfig, name: string): Promise<void> => clientOf(config).images.remove(name),
}
