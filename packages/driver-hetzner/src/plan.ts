import {
  type Arch,
  type CloudWish,
  compareAmounts,
  GibilError,
  hourlyOf,
  type Price,
  type Size,
  sumOf,
} from '@gibil/contract'
import type { Offer } from '@gibil/core'
import type { ApiPricing, ApiServerType } from './client/schemas.ts'

/** What the cloud sells now. */
export interface Catalog {
  readonly serverTypes: readonly ApiServerType[]
  readonly pricing: ApiPricing
}

/** What a box may run on. */
export interface Wish {
  readonly size: Size
  readonly cloud?: CloudWish | undefined
  /** What it begins as fits no others: machines of these architectures, with so much disk (GB) at least. */
  readonly images?: readonly { readonly arch: Arch; readonly diskGb: number }[] | undefined
  /** The type that it was saved on: another family may not boot it, since some do so by BIOS and some by UEFI. */
  readonly savedOn?: string | undefined
}

/** Of two places that cost the same, the one that is first here; then any other. */
const placeOrder = ['fsn1', 'nbg1', 'hel1']
/**
 * So many times what the cheapest machine of the size costs is the most that is taken when nobody states a cap: when all cheap ones are sold out, the next line of
 * products (about 4 times the price) is taken, and not any machine there is.
 */
const stretch = 5
const arches: readonly string[] = ['x86', 'arm'] satisfies Arch[]

/**
 * Which (server type, location) are tried for a wish, in this order: those that are there before those that are sold out, then the cheaper first. Never one above
 * the cap, IPv4 counted with it. Not empty.
 * Throws `invalid_request` for a type or location that is not sold, `invalid_size` when no machine is large enough, `over_price_cap`.
 */
export function plan(wish: Wish, catalog: Catalog): readonly Offer[] {
  const sold = catalog.serverTypes.flatMap((type) => offersOf(type, catalog.pricing))
  checkNames(wish.cloud, catalog, sold)
  const fitting = sold.filter(({ type, offer }) => fits(wish, type, offer)).map(({ offer }) => offer)
  if (fitting.length === 0) throw nothingFits(wish)
  const cheapest = fitting.map((offer) => hourlyOf(offer.price)).sort(compareAmounts)[0] ?? '0'
  const stated = wish.cloud?.maxHourly
  const cap = stated ?? sumOf(Array.from({ length: stretch }, () => cheapest))
  const payable = fitting.filter(({ price }) => compareAmounts(hourlyOf(price), cap) <= 0)
  if (payable.length > 0) return payable.toSorted(byOrder(wish.savedOn))
  throw new GibilError(
    'over_price_cap',
    `The cheapest machine that fits costs ${cheapest} an hour, more than ${cap}.`,
    {
      hint: 'Raise the cap, or ask for a smaller size.',
      details: { cheapest, cap },
    },
  )
}

/** Those that can be had now. Throws `cloud_sold_out` when that is none. */
export function available(offers: readonly Offer[], instead: readonly Offer[]): readonly Offer[] {
  const there = offers.filter((offer) => offer.available)
  if (there.length > 0) return there
  throw soldOut(offers, instead)
}

/** So many alternatives are told. */
const told = 3

/** What has the size and can be had now, cheapest first, whatever type, place, architecture or cap was asked for; the image has to fit. */
export function alternatives({ size, images }: Wish, catalog: Catalog): readonly Offer[] {
  return catalog.serverTypes
    .flatMap((type) => offersOf(type, catalog.pricing))
    .filter(({ type, offer }) => offer.available && fits({ size, images, cloud: { arch: offer.arch } }, type, offer))
    .map(({ offer }) => offer)
    .toSorted(byOrder(undefined))
}

/** `offers`: what was tried, or would have been; `instead`: what could be had, of which those that were tried are no use. */
export function soldOut(offers: readonly Offer[], instead: readonly Offer[], cause?: unknown): GibilError {
  const place = ({ serverType, location }: Offer): string => `${serverType} in ${location}`
  const names = new Set(offers.map(place))
  const others = instead.filter((offer) => !names.has(place(offer))).slice(0, told)
  const described = others.map((offer) => `${place(offer)} (${hourlyOf(offer.price)} ${offer.price.currency} an hour)`)
  return new GibilError(
    'cloud_sold_out',
    `Hetzner Cloud has no machine left of those that fit: ${[...names].join(', ')}.`,
    {
      cause,
      hint:
        others.length === 0
          ? 'Nothing else that is large enough is left there either: try again later, or a smaller size.'
          : `There is still: ${described.join(', ')}. Ask for one with --server-type and --location, raise --max-hourly, or try again later.`,
      details: { tried: offers.map(nameOf), instead: others.map(nameOf) },
    },
  )
}

const nameOf = ({ serverType, location }: Offer) => ({ serverType, location })

/** What a machine of this type costs where it is, by the price list in its own description. Undefined when it is not sold there. */
export function priceOf(type: ApiServerType, location: string, pricing: ApiPricing): Price | undefined {
  const server = type.prices.find((price) => price.location === location)
  const ipv4 = pricing.primary_ips.find((one) => one.type === 'ipv4')?.prices.find((one) => one.location === location)
  if (server === undefined) return undefined
  return {
    currency: pricing.currency,
    hourly: server.price_hourly.net,
    monthly: server.price_monthly.net,
    ipv4Hourly: ipv4?.price_hourly.net ?? '0',
    ipv4Monthly: ipv4?.price_monthly.net ?? '0',
  }
}

export function archOf(architecture: string): Arch {
  return architecture === 'arm' ? 'arm' : 'x86'
}

interface Sold {
  readonly type: ApiServerType
  readonly offer: Offer
}

function offersOf(type: ApiServerType, pricing: ApiPricing): Sold[] {
  if (type.deprecated === true || !arches.includes(type.architecture)) return []
  return type.prices.flatMap(({ location }) => {
    const price = priceOf(type, location, pricing)
    const there = type.locations?.find(({ name }) => name === location)
    // A type may be on its way out in some places only.
    if (price === undefined || (there?.deprecation ?? null) !== null) return []
    const offer = {
      serverType: type.name,
      location,
      arch: archOf(type.architecture),
      available: there?.available ?? there !== undefined,
      price,
    }
    return [{ type, offer }]
  })
}

function fits({ size, cloud, images, savedOn }: Wish, type: ApiServerType, offer: Offer): boolean {
  const arch = cloud?.arch ?? (cloud?.serverType === undefined ? 'x86' : offer.arch)
  const wanted = images === undefined || images.some((one) => one.arch === offer.arch && one.diskGb <= type.disk)
  // Whoever names a type takes it as large as it is.
  const named = cloud?.serverType !== undefined
  return (
    wanted &&
    (named ? offer.serverType === cloud.serverType : isEnough(type, size)) &&
    (cloud?.location === undefined || offer.location === cloud.location) &&
    (savedOn === undefined ? offer.arch === arch : familyOf(offer.serverType) === familyOf(savedOn))
  )
}

/** Its disk is in GB, not in GiB. */
const isEnough = (type: ApiServerType, size: Size): boolean =>
  type.cores >= size.cpu && type.memory * 1024 >= size.memoryMib && type.disk * 1e9 >= size.diskMib * 2 ** 20

/** The letters of a type: `cx` of `cx23`. */
const familyOf = (type: string): string => type.replace(/\d.*$/, '')

const byOrder =
  (first: string | undefined) =>
  (a: Offer, b: Offer): number =>
    Number(b.available) - Number(a.available) ||
    Number(b.serverType === first) - Number(a.serverType === first) ||
    compareAmounts(hourlyOf(a.price), hourlyOf(b.price)) ||
    placeOf(a) - placeOf(b) ||
    (a.location < b.location ? -1 : 1)

function placeOf({ location }: Offer): number {
  const place = placeOrder.indexOf(location)
  return place < 0 ? placeOrder.length : place
}

function checkNames(cloud: CloudWish | undefined, { serverTypes }: Catalog, sold: readonly Sold[]): void {
  const type = cloud?.serverType
  const known = serverTypes.find(({ name }) => name === type)
  if (cloud?.arch !== undefined && known !== undefined && known.architecture !== cloud.arch) {
    throw new GibilError('invalid_request', `The server type ${type} is ${known.architecture}, not ${cloud.arch}.`, {
      hint: 'Name one of the two, or a type of that architecture.',
    })
  }
  if (type !== undefined && known === undefined) {
    const names = serverTypes.map(({ name }) => name).join(', ')
    throw new GibilError('invalid_request', `Hetzner Cloud has no server type "${type}".`, {
      hint: `There are: ${names}.`,
    })
  }
  const places = [...new Set(sold.map(({ offer }) => offer.location))].sort()
  if (cloud?.location !== undefined && !places.includes(cloud.location)) {
    throw new GibilError('invalid_request', `Hetzner Cloud has no location "${cloud.location}".`, {
      hint: `There are: ${places.join(', ')}.`,
    })
  }
}

function nothingFits({ size, cloud, images }: Wish): GibilError {
  const where = cloud?.location === undefined ? '' : ` in ${cloud.location}`
  if (cloud?.serverType !== undefined) {
    const why = images === undefined ? 'is not sold' : 'is not sold, or does not fit the image,'
    return new GibilError('invalid_request', `The server type ${cloud.serverType} ${why}${where}.`, {
      hint: 'Choose another location or type; the architecture of type and image must be the same.',
    })
  }
  const { cpu, memoryMib, diskMib } = size
  const wanted = `${cpu} vCPU, ${memoryMib} MiB of memory and ${diskMib} MiB of disk`
  return new GibilError(
    'invalid_size',
    `Hetzner Cloud sells no ${cloud?.arch ?? 'x86'} machine with ${wanted}${where}.`,
  )
}
