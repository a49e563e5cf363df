import { type BoxCost, type Charge, costOf, hourlyOf, sumOf } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'
import type { DriverBox, DriverCloud } from '../ports/driver.ts'
import type { EndedCharge } from '../ports/store.ts'

/** Ends what goes on. */
export const closed = (charges: readonly Charge[], now: number): EndedCharge[] =>
  charges.map((charge) => ({ ...charge, to: charge.to ?? Math.max(charge.from, now) }))

/** What a look says of the cloud of a box: a machine that is not there any more, or is another home's, is not billed here. */
export const cloudSeen = (before: DriverCloud | undefined, actual: DriverBox | undefined): DriverCloud | undefined =>
  actual?.cloud ?? (before && { ...before, billedSince: null })

/** What the record of a box must say of its cloud once the driver was asked; undefined when it says so already. */
export function withCloud(
  { cloud: before, charges = [] }: Pick<BoxRecord, 'cloud' | 'charges'>,
  cloud: DriverCloud | undefined,
  now: number,
): Pick<BoxRecord, 'cloud' | 'charges'> | undefined {
  if (!cloud || JSON.stringify(cloud) === JSON.stringify(before)) return undefined
  const open = charges.find(({ to }) => to === null)
  if (cloud.billedSince === null) return { cloud, charges: closed(charges, now) }
  const from = Date.parse(cloud.billedSince)
  if (open?.from === from) return { cloud }
  // Another machine is another charge, also within the hour of the one before.
  return { cloud, charges: [...closed(charges, from), { price: cloud.price, from, to: null }] }
}

/** What it has cost and costs; null when nothing was ever billed. */
export function costOfBox({ charges = [] }: Pick<BoxRecord, 'charges'>, now: number): BoxCost | null {
  const last = charges.at(-1)
  if (!last) return null
  return {
    currency: last.price.currency,
    hourly: hourlyOf(last.price),
    soFar: sumOf(charges.map((charge) => costOf(charge, now))),
    billed: last.to === null,
  }
}
