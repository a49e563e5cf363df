import { GibilError, type Shape } from '@gibil/contract'
import type { ResolvedImage } from '../ports/driver.ts'

/**
 * The shape of a box of that image: the one that is wanted, or the image's own where nobody named one. Throws `unsupported_by_shape` for a container of an
 * image that needs a kernel of its own.
 */
export function shapeFor(image: ResolvedImage, wanted: Shape, isNamed: boolean): Shape {
  const own = image.shape ?? wanted
  if (own === wanted) return wanted
  if (!isNamed) return own
  if (wanted !== 'container') return wanted
  throw new GibilError(
    'unsupported_by_shape',
    `The image ${image.name} needs a kernel of its own, which no container has.`,
    {
      hint: `Create the box with --shape ${own}, or leave the shape out: it is that of the image.`,
    },
  )
}
