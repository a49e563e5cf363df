import type { Provider } from '@gibil/contract'
import type { ResolvedImage } from '../ports/driver.ts'
import type { ImageSource } from '../ports/images.ts'

/**
 * An image of this machine, or what a cloud calls so: there it is a name, which means nothing here and is looked up by the driver when it makes the box.
 * Throws as `ImageSource.resolve`.
 */
export async function resolveImage(images: ImageSource, provider: Provider, ref: string): Promise<ResolvedImage> {
  if (provider === 'local') return images.resolve(ref)
  return { name: ref, digest: ref, layers: [], env: {}, workdir: null, user: null }
}
