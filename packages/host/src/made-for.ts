import { isDeepStrictEqual } from 'node:util'
import { openEgress } from '@gibil/contract'
import type { DriverSpec } from '@gibil/core'

/** Whether a box made for one spec is, as it is, the box of another: labels are only noted. */
export function isMadeFor(made: DriverSpec, asked: DriverSpec): boolean {
  const same = made.hostname === asked.hostname && made.network === asked.network && canBecome(made, asked)
  return same && isDeepStrictEqual(made.egress ?? openEgress, asked.egress ?? openEgress)
}

/** Whether a running box that was made for one spec can become the box of another: what cannot be changed once it runs is the same. */
export function canBecome(made: DriverSpec, asked: DriverSpec): boolean {
  return isDeepStrictEqual(fixedOf(made), fixedOf(asked))
}

const fixedOf = ({ image, size, isolation, from, volumes = [] }: DriverSpec): unknown => [
  image.digest,
  size,
  isolation,
  from,
  volumes,
]
