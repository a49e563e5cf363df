import {
  type Budget,
  type BudgetLimits,
  type Charge,
  compareAmounts,
  differenceOf,
  GibilError,
  hourlyOf,
  type Price,
} from '@gibil/contract'
import { chargeOf, checkBudget, costOnDay, dayOf, untilEnd } from '../box/budget.ts'
import type { BoxRecord } from '../box-record.ts'
import type { Offer } from '../ports/driver.ts'
import type { Store } from '../ports/store.ts'
import { readBills } from './cost-report.ts'

/** What a box that is to be made could cost, and how long it is to live. */
export interface Wanted {
  readonly offers: readonly Offer[]
  readonly ttlMs: number | null
  readonly maxCost: string | null
}

/** All that is and will be billed of boxes that are there, and of those that are to be made. But of `except`. */
export async function takenBy(store: Store, now: number, except?: string): Promise<Charge[]> {
  const bills = (await readBills(store)).filter(({ box }) => box.id !== except)
  const ends = new Map((await store.listBoxes()).map((record) => [record.id, record]))
  const planned = [...ends.values()].flatMap(({ id, charges, estimate, expiresAt, createdAt }) =>
    id === except || !estimate || charges?.length
      ? []
      : [chargeOf(estimate, expiresAt === null ? null : expiresAt - createdAt, createdAt)],
  )
  return [
    ...bills.flatMap(({ box, charges }) => untilEnd(charges, ends.get(box.id)?.expiresAt ?? null, now)),
    ...planned,
  ]
}

/**
 * The most that one of these boxes may cost per hour, as the price of an offer: with it and all that are cheaper the budgets hold. Throws `over_budget` when they hold with
 * none of those that can be had.
 */
export function priceWithin(
  limits: BudgetLimits,
  taken: readonly Charge[],
  { offers, ttlMs, maxCost }: Wanted,
  count: number,
  now: number,
): Price | undefined {
  const there = offers.some(({ available }) => available)
  const sorted = offers.toSorted((a, b) => compareAmounts(hourlyOf(a.price), hourlyOf(b.price)))
  let most: Price | undefined
  let canBeHad = false
  let refusal: unknown
  for (const { price, available } of sorted) {
    try {
      checkBudget(limits, taken, { charges: [chargeOf(price, ttlMs, now)], count, maxCost }, now)
    } catch (error) {
      if (!GibilError.is(error)) throw error
      // What is dearer is not looked at: the driver takes whatever is below a price.
      refusal ??= error
      if (available || !there) break
      continue
    }
    if (refusal !== undefined) continue
    most = price
    canBeHad ||= available || !there
  }
  if (refusal !== undefined && !canBeHad) throw refusal
  return most
}

/** What is billed of a box that is there, if it runs to a time. */
export function billedUntil(record: BoxRecord, expiresAt: number | null, now: number): Charge[] {
  const { charges = [], estimate, createdAt, cloud, status } = record
  const known = untilEnd(charges, expiresAt, now)
  const lives = expiresAt === null ? null : expiresAt - now
  // Its machine was given back, and another is made for it.
  if (charges.length > 0 && status === 'stopped' && cloud && cloud.billedSince === null) {
    return [...known, chargeOf(cloud.price, lives, now)]
  }
  if (charges.length > 0 || !estimate) return known
  return [chargeOf(estimate, expiresAt === null ? null : expiresAt - createdAt, createdAt)]
}

/** What today will have cost at midnight (UTC), and what of the budget of a day is left. */
export async function budgetOf(store: Store, now: number): Promise<Budget> {
  const limits = await store.getBudget()
  const planned = costOnDay(await takenBy(store, now), dayOf(now))
  const left = limits.daily === null ? null : differenceOf(limits.daily, planned)
  return { ...limits, planned, left }
}
