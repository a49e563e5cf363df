/** What boxes cost. Amounts are decimal strings and are counted exactly: binary fractions are not money. */
import * as z from 'zod'

/** A net amount of money, such as `0.0088`. */
export const Amount = z.string().regex(/^\d{1,12}(\.\d{1,16})?$/)

/** Net, of one server in one location. The address is billed apart from it. */
export const Price = z.object({
  currency: z.string().describe('such as EUR'),
  hourly: Amount,
  monthly: Amount.describe('what a calendar month costs at most'),
  ipv4Hourly: Amount,
  ipv4Monthly: Amount,
})
export type Price = z.infer<typeof Price>

/** A time in which something is billed, in milliseconds since the epoch. `to` null: it goes on. */
export interface Charge {
  readonly price: Price
  readonly from: number
  readonly to: number | null
}

const hourMs = 3_600_000
const scale = 16

/** In units of 10^-16. */
function parse(amount: string): bigint {
  const [whole = '0', part = ''] = amount.split('.')
  return BigInt(whole + part.padEnd(scale, '0'))
}

/** The shortest decimal string, with two digits after the point at least. */
function write(units: bigint): string {
  const digits = units.toString().padStart(scale + 1, '0')
  const part = digits.slice(-scale).replace(/0+$/, '').padEnd(2, '0')
  return `${digits.slice(0, -scale)}.${part}`
}

/** The sum of amounts, exactly. */
export const sumOf = (amounts: readonly string[]): string =>
  write(amounts.reduce((total, amount) => total + parse(amount), 0n))

/** What is left of an amount; nothing when more was taken than there was. */
export function differenceOf(amount: string, taken: string): string {
  const left = parse(amount) - parse(taken)
  return write(left < 0n ? 0n : left)
}

/** An amount by a whole number, divided by another; what is beyond 16 digits is dropped. */
export const amountTimes = (amount: string, count: number, by = 1): string =>
  write((parse(amount) * BigInt(count)) / BigInt(by))

/** Below 0, 0 or above 0, as `a` is less than, equal to or more than `b`. */
export function compareAmounts(a: string, b: string): number {
  const difference = parse(a) - parse(b)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

/** An amount as people write it: to a hundredth of a cent, and no sum looks less than it is. */
export function formatMoney(amount: string, currency: string): string {
  const [whole = '0', part = ''] = amount.split('.')
  const kept = part.slice(0, 4)
  const cut = /[1-9]/.test(part.slice(4))
  const units = BigInt(whole + kept.padEnd(4, '0')) + (cut ? 1n : 0n)
  const digits = units.toString().padStart(5, '0')
  return `${digits.slice(0, -4)}.${digits.slice(-4).replace(/0{1,2}$/, '')} ${currency}`
}

/** What an hour of a server with its address costs. */
export const hourlyOf = (price: Price): string => sumOf([price.hourly, price.ipv4Hourly])

/** When the hours of a charge begin that begin in `[from, to)`: each is billed as a whole, in the month (UTC) in which it begins. */
function hoursByMonth(charge: Charge, to: number): Map<string, bigint> {
  const months = new Map<string, bigint>()
  // What existed at all has cost an hour.
  const end = Math.min(to, charge.to === null ? Number.POSITIVE_INFINITY : Math.max(charge.to, charge.from + 1))
  let at = charge.from
  while (at < end) {
    const date = new Date(at)
    const nextMonth = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1)
    const hours = Math.ceil((Math.min(end, nextMonth) - at) / hourMs)
    months.set(`${date.getUTCFullYear()}-${date.getUTCMonth()}`, BigInt(hours))
    at += hours * hourMs
  }
  return months
}

function costUntil(charge: Charge, to: number): bigint {
  const { hourly, monthly, ipv4Hourly, ipv4Monthly } = charge.price
  const capped = (hours: bigint, each: string, cap: string): bigint => {
    const cost = hours * parse(each)
    if (cost > parse(cap)) return parse(cap)
    return cost
  }
  let total = 0n
  for (const hours of hoursByMonth(charge, to).values()) {
    total += capped(hours, hourly, monthly) + capped(hours, ipv4Hourly, ipv4Monthly)
  }
  return total
}

/**
 * What a charge costs for the hours that begin in `[from, to)`, as Hetzner Cloud counts: each hour that has begun is a whole one, a calendar month costs
 * no more than its cap, and the address is counted by itself (https://docs.hetzner.com/cloud/billing/faq). Whatever exists is billed, also when it is
 * off. A charge that has begun has cost an hour.
 */
export const costBetween = (charge: Charge, from: number, to: number): string =>
  write(costUntil(charge, to) - costUntil(charge, Math.max(from, charge.from)))

/** What a charge has cost at a time. */
export const costOf = (charge: Charge, now: number): string => write(costUntil(charge, now + 1))

/** When the hour after the one of `now` begins for a charge. */
export const nextHour = (charge: Charge, now: number): number =>
  charge.from + (Math.floor(Math.max(0, now - charge.from) / hourMs) + 1) * hourMs
