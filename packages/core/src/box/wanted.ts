import type { Shape, Size } from '@gibil/contract'
import type { ExplicitField } from '../box-record.ts'
import { autoShape } from '../choose/auto.ts'
import type { GibilConfig } from '../gibil-yml/config.ts'
import { defaultImage, type ImageDefaults } from './default-image.ts'
import { chooseSize } from './sizes.ts'

/** What a box is made as, before images and drivers are looked up. */
export interface Wanted {
  readonly shape: Shape
  readonly image: string
  readonly size: Size
  /** Why it has this shape; null: somebody named it. */
  readonly chosenBecause: readonly string[] | null
}

/** The same with what else decides about a shape. */
export interface AskedFor extends Wanted {
  readonly ttl: string | number | undefined
}

/** What a `.gibil.yml` makes of it: the caller's own words stay. `preset`: what its `shape: managed` stands for. Throws `invalid_size`. */
export function wantedBy(
  config: GibilConfig,
  asked: AskedFor,
  explicit: readonly ExplicitField[],
  defaults: ImageDefaults,
  preset?: Wanted,
): Wanted {
  const open = (field: ExplicitField): boolean => !explicit.includes(field)
  const wish = {
    size: config.size ?? undefined,
    cpu: config.cpu ?? undefined,
    memoryMib: config.memoryMib ?? undefined,
    diskMib: config.diskMib ?? undefined,
  }
  const named = Object.values(wish).some((value) => value !== undefined)
  const told = open('shape') ? preset : undefined
  const wanted = told?.size ?? (named ? chooseSize(wish) : asked.size)
  const services = servicesOf(config)
  const ttl = (open('ttl') ? config.ttl : null) ?? asked.ttl
  const { shape, chosenBecause } = told ?? (open('shape') ? shapeBy(config, asked, services, ttl) : asked)
  // One that nobody named goes with the shape.
  const isDefault = asked.image === defaultImage(asked.shape, defaults)
  const unnamed = isDefault ? defaultImage(shape, defaults, services === 'image') : asked.image
  return {
    shape,
    chosenBecause,
    image: open('image') ? (config.image ?? told?.image ?? unnamed) : asked.image,
    size: {
      cpu: open('cpu') ? wanted.cpu : asked.size.cpu,
      memoryMib: open('memoryMib') ? wanted.memoryMib : asked.size.memoryMib,
      diskMib: open('diskMib') ? wanted.diskMib : asked.size.diskMib,
    },
  }
}

type Services = 'image' | 'unit' | undefined

/** What its services need of a shape; one with systemd has Docker, too. */
function servicesOf({ services }: GibilConfig): Services {
  if (services.some(({ unit }) => unit)) return 'unit'
  return services.some(({ image }) => image !== null) ? 'image' : undefined
}

function shapeBy(
  config: GibilConfig,
  asked: AskedFor,
  services: Services,
  ttl: string | number | undefined,
): Pick<Wanted, 'shape' | 'chosenBecause'> {
  if (config.shape !== null && config.shape !== 'managed') return { shape: config.shape, chosenBecause: null }
  if (asked.shape === 'vm' || services === undefined || (asked.shape === 'microvm' && services === 'image'))
    return asked
  const { shape, because } = autoShape({ provider: 'local', ttl, cloudInit: false, services })
  return { shape, chosenBecause: because }
}
