import type { Charge, Project } from './model.ts'
import { formatMoney, type Money, money } from './money.ts'

const hour = 3_600_000

export function startCharge(project: Project, now: number, charge: Omit<Charge, 'from' | 'until'>): void {
  project.charges.push({ ...charge, from: now, until: null })
}

export function endCharge(project: Project, now: number, kind: Charge['kind'], id: number): void {
  for (const charge of project.charges) {
    if (charge.kind === kind && charge.id === id && charge.until === null) charge.until = now
  }
}

/**
 * What a charge comes to until `now`, net: each started hour of each calendar month (UTC) up to the price of the month.
 * What has no price of an hour costs the part of the month that it was there.
 */
export function costOf(charge: Charge, now: number): Money {
  const until = charge.until ?? now
  const monthly = money(charge.monthly)
  let sum = 0n
  for (let from = charge.from; from < until || from === charge.from; ) {
    const monthEnd = nextMonth(from)
    const to = Math.min(until, monthEnd)
    if (charge.hourly === null) sum += (monthly * BigInt(to - from)) / BigInt(monthEnd - monthStart(from))
    else {
      // Who is there at all has begun an hour.
      const hours = money(charge.hourly) * BigInt(Math.max(1, Math.ceil((to - from) / hour)))
      sum += hours < monthly ? hours : monthly
    }
    if (to === from) break
    from = to
  }
  return sum
}

/** All that a project has cost, for people and tests: the API has nothing like it. */
export function bill(project: Project, now: number): { currency: 'EUR'; net: string; charges: object[] } {
  const charges = project.charges.map((charge) => ({ ...charge, cost: costOf(charge, now) }))
  return {
    currency: 'EUR',
    net: formatMoney(charges.reduce((sum, { cost }) => sum + cost, 0n)),
    charges: charges.map((charge) => ({ ...charge, cost: formatMoney(charge.cost) })),
  }
}

const monthStart = (ms: number): number => Date.UTC(new Date(ms).getUTCFullYear(), new Date(ms).getUTCMonth())
const nextMonth = (ms: number): number => Date.UTC(new Date(ms).getUTCFullYear(), new Date(ms).getUTCMonth() + 1)
