import type { Shape, Size } from '@gibil/contract'
import type { ExplicitField } from '../box-record.ts'
import type { GibilConfig } from '../gibil-yml/config.ts'
import { defaultImage, type ImageDefaults } from './default-image.ts'
import { chooseSize } from './sizes.ts'

/** What a box is made as, before images and drivers are looked up. */
export interface Wanted {
  readonly shape: Shape
  readonly image: string
  readonly size: Size
}

/** What a `.gibil.yml` makes of it: the caller's own words stay. Throws `invalid_size`. */
export function wantedBy(
  config: GibilConfig,
  asked: Wanted,
  explicit: readonly ExplicitField[],
  defaults: ImageDefaults,
): Wanted {
  const open = (field: ExplicitField): boolean => !explicit.includes(field)
  const wish = {
    size: config.size ?? undefined,
    cpu: config.cpu ?? undefined,
    memoryMib: config.memoryMib ?? undefined,
    diskMib: config.diskMib ?? undefined,
  }
  const named = Object.values(wish).some((value) => value !== undefined)
  const wanted = named ? chooseSize(wish) : asked.size
  const shape = open('shape') ? (config.shape ?? asked.shape) : asked.shape
  // One that nobody named goes with the shape.
  const unnamed = asked.image === defaultImage(asked.shape, defaults) ? defaultImage(shape, defaults) : asked.image
  return {
    shape,
    image: open('image') ? (config.image ?? unnamed) : asked.image,
    size: {
      cpu: open('cpu') ? wanted.cpu : asked.size.cpu,
      memoryMib: open('memoryMib') ? wanted.memoryMib : asked.size.memoryMib,
      diskMib: open('diskMib') ? wanted.diskMib : asked.size.diskMib,
    },
  }
}
