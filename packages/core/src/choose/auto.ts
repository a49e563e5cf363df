import { GibilError, type Provider, type Shape } from '@gibil/contract'
import type { Asked } from './asked.ts'
import { type Host, pick } from './pick.ts'
import { nothingMore } from './recommend.ts'
import { endless } from './size.ts'

/** What a create without a shape says of the box. */
export interface Terms {
  readonly provider: Provider
  readonly ttl: string | number | undefined
  readonly cloudInit: boolean
  /** What runs its services beside command lines, as far as that is known. */
  readonly services: 'image' | 'unit' | undefined
}

export interface AutoShape {
  readonly shape: Shape
  readonly because: readonly string[]
}

/**
 * A create is not given another shape because of what this host lacks: it says what is missing. A size is a limit for a container, so that none is too large.
 * And a cloud is never chosen, since it costs money.
 */
const anyHost: Host = { ...endless, unavailable: () => null }

/** The shape of a box for which nobody named one, by the rules of `gibil choose`. Throws `invalid_duration`. */
export function autoShape({ provider, ttl, cloudInit, services }: Terms): AutoShape {
  const asked: Asked = {
    where: provider === 'local' ? 'here' : 'own-cloud',
    ...(ttl === undefined ? {} : { ttl }),
    ...(cloudInit ? { cloudInit } : {}),
    ...(services === undefined ? {} : { services }),
  }
  const { chosen, rules, preference } = pickOrWithoutTtl(asked)
  const decisive = rules.filter(({ decides, rule }) => decides && rule.need !== 'where').map(({ rule }) => rule.because)
  const { shape } = chosen.candidate
  const because = [...decisive, ...(preference ? [preference.because] : [])]
  if (because.length > 0) return { shape, because }
  return { shape, because: [provider === 'local' ? nothingMore : 'a cloud has full machines only'] }
}

/** Where only the TTL is in the way, the lease says so better than the chooser: a box is as it is, and its TTL out of range. */
function pickOrWithoutTtl(asked: Asked): ReturnType<typeof pick> {
  try {
    return pick(asked, anyHost)
  } catch (error) {
    if (asked.ttl === undefined || !GibilError.is(error) || error.code !== 'contradictory_needs') throw error
    const { ttl: _, ...rest } = asked
    return pick(rest, anyHost)
  }
}
