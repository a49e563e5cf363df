import {
  amountTimes,
  type BudgetLimits,
  type Charge,
  compareAmounts,
  costBetween,
  costOf,
  GibilError,
  type Price,
  sumOf,
} from '@gibil/contract'

const dayMs = 86_400_000
/** How long the end of a lease may take: what it begins is billed as a whole hour, so that a lease of two hours may cost three. */
const endingMs = 120_000
/** Longer than any lease of a machine that costs something. */
const mostDays = 32

/** Midnight (UTC) before a time. */
export const dayOf = (ms: number): number => ms - (ms % dayMs)
const written = (day: number): string => new Date(day).toISOString().slice(0, 10)

/** What is billed of a box if it lives to the end of its lease: null when that has none. */
export const untilEnd = (charges: readonly Charge[], expiresAt: number | null, now: number): Charge[] =>
  charges.map((charge) => ({
    ...charge,
    to: charge.to ?? (expiresAt === null ? null : Math.max(expiresAt, now, charge.from) + endingMs),
  }))

export const costOnDay = (charges: readonly Charge[], day: number): string =>
  sumOf(charges.map((charge) => costBetween(charge, day, day + dayMs)))

/** Boxes that are to be made or to live longer, against what all others will cost. */
export interface Asked {
  /** Of one of them, to the end of its lease. */
  readonly charges: readonly Charge[]
  readonly count: number
  /** What one may cost in all its life by the word of its caller; null: no limit of his. */
  readonly maxCost: string | null
}

/**
 * Throws `over_budget` when a box would cost more than one may in all its life, or when a day (UTC), today or a later one, would cost more than a day may, if all boxes
 * live to the end of their leases.
 */
export function checkBudget(limits: BudgetLimits, others: readonly Charge[], asked: Asked, now: number): void {
  const { charges, count, maxCost } = asked
  const [{ price: { currency } = { currency: '' } } = {}] = charges
  const end = Math.max(now, ...charges.map(({ to }) => to ?? Number.POSITIVE_INFINITY))
  const whole = sumOf(charges.map((charge) => costOf(charge, Math.min(end, now + mostDays * dayMs))))
  for (const [limit, name] of [
    [maxCost, 'its --max-cost'],
    [limits.perBox, 'the budget of a box'],
  ] as const) {
    if (limit === null || compareAmounts(whole, limit) <= 0) continue
    throw new GibilError(
      'over_budget',
      `The box would cost ${whole} ${currency} until its lease ends, more than ${name}, ${limit}.`,
      { details: { budget: name, limit, asked: whole } },
    )
  }
  if (limits.daily === null) return
  for (let day = dayOf(now); day <= end && day < now + mostDays * dayMs; day += dayMs) {
    const taken = costOnDay(others, day)
    const more = amountTimes(costOnDay(charges, day), count)
    if (compareAmounts(more, '0') === 0 || compareAmounts(sumOf([taken, more]), limits.daily) <= 0) continue
    throw new GibilError(
      'over_budget',
      `${count === 1 ? 'The box' : `${count} boxes`} would cost ${more} ${currency} on ${written(day)}, and the others take ${taken} of the ${limits.daily} of the budget of a day.`,
      { details: { budget: 'daily', day: written(day), limit: limits.daily, taken, asked: more } },
    )
  }
}

/** What one box costs that begins then and lives so long; null: without an end. */
export const chargeOf = (price: Price, ttlMs: number | null, now: number): Charge => ({
  price,
  from: now,
  to: ttlMs === null ? null : now + ttlMs + endingMs,
})
