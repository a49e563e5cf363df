import {
  type Choice,
  type ChoiceCost,
  costOf,
  type ErrorCode,
  GibilError,
  hourlyOf,
  type Needs,
  parseDuration,
  sumOf,
} from '@gibil/contract'
import { toFailure } from '../box/failure.ts'
import type { Candidate } from '../choose/candidates.ts'
import { type Machine, type Recommendation, recommend } from '../choose/recommend.ts'
import type { Offer } from '../ports/driver.ts'
import type { Context } from './context.ts'
import { resolveImage } from './images.ts'

/** Which box some needs are best met by here, and what it costs. Throws what `recommend` does, and what a cloud says of a size, place or price that it has not. */
export async function choose(context: Context, needs: Needs): Promise<Choice> {
  const chosen = recommend(needs, await machineOf(context), context.policy)
  const before = await missingImage(context, chosen)
  const { cost, warnings } = await priceOf(context, chosen)
  return { ...chosen, before, cost, warnings: [...chosen.warnings, ...warnings] }
}

/** What this host is and can do now. */
async function machineOf({ deps, drivers }: Context): Promise<Machine> {
  // The token of a cloud may have come since it was looked for.
  await drivers.reach({ provider: 'hetzner', shape: 'vm' }).catch(() => undefined)
  const { cpus, memoryMib, freeDiskMib } = deps.host
  const unavailable = (candidate: Candidate): ReturnType<Machine['unavailable']> => {
    try {
      drivers.for(candidate)
      return null
    } catch (error) {
      return toFailure(error)
    }
  }
  const machines = drivers.opened().find((driver) => driver.emulates !== undefined)
  return {
    cpus,
    memoryMib,
    freeDiskMib: await freeDiskMib(),
    unavailable,
    emulated: (await machines?.emulates?.()) ?? null,
  }
}

/** What makes the image, where there is none yet. A cloud has systems of its own for the others. */
async function missingImage(
  { deps, drivers, policy }: Context,
  { provider, image }: Recommendation,
): Promise<string[]> {
  if (provider === 'local') {
    return deps.images.resolve(image).then(
      () => [],
      (error) => (GibilError.from(error).code === 'image_not_found' ? [`gibil image build ${image}`] : []),
    )
  }
  if (image !== policy.workstationImage) return []
  const baked = await drivers
    .reach({ provider, shape: 'vm' })
    .then((driver) => driver.baked?.())
    .catch(() => undefined)
  return baked?.some(({ name }) => name === image) ? [] : [`gibil image bake ${image} --provider ${provider}`]
}

/** What is wrong with the needs themselves, where a cloud says it; anything else is a price that is not known. */
const ofTheNeeds: ReadonlySet<ErrorCode> = new Set(['over_price_cap', 'invalid_size', 'invalid_request'])

async function priceOf(
  { deps, drivers }: Context,
  { shape, provider, image, size, create, free }: Recommendation,
): Promise<{ cost: ChoiceCost | null; warnings: string[] }> {
  const driver = drivers.opened().find((one) => one.shape === shape && one.provider === provider)
  if (free || !driver?.quote) return { cost: null, warnings: [] }
  try {
    const resolved = await resolveImage(deps.images, provider, image)
    const offers = await driver.quote({ size, image: resolved, ...(create.cloud ? { cloud: create.cloud } : {}) })
    const offer = offers.find(({ available }) => available) ?? offers[0]
    if (!offer) return { cost: null, warnings: [] }
    const soldOut = `All machines of that size are sold out now; ${offer.serverType} in ${offer.location} is the first to wait for.`
    return { cost: costOfOffer(offer, create.ttl, deps.clock.now()), warnings: offer.available ? [] : [soldOut] }
  } catch (thrown) {
    const error = GibilError.from(thrown)
    if (ofTheNeeds.has(error.code)) throw error
    return { cost: null, warnings: [`What it costs is not known: ${error.message}`] }
  }
}

function costOfOffer(
  { serverType, location, price }: Offer,
  ttl: string | number | undefined,
  now: number,
): ChoiceCost {
  const to = ttl === undefined || ttl === 'none' ? null : now + parseDuration(ttl)
  return {
    currency: price.currency,
    hourly: hourlyOf(price),
    monthly: sumOf([price.monthly, price.ipv4Monthly]),
    total: to === null ? null : costOf({ price, from: now, to }, to),
    serverType,
    location,
  }
}
