import { type Box, hourlyOf } from '@gibil/sdk'

/** An amount as people write it: to a hundredth of a cent, and no sum looks less than it is. */
export function money(amount: string, currency: string): string {
  const [whole = '0', part = ''] = amount.split('.')
  const kept = part.slice(0, 4)
  const cut = /[1-9]/.test(part.slice(4))
  const units = BigInt(whole + kept.padEnd(4, '0')) + (cut ? 1n : 0n)
  const digits = units.toString().padStart(5, '0')
  return `${digits.slice(0, -4)}.${digits.slice(-4).replace(/0{1,2}$/, '')} ${currency}`
}

/** What an hour of a machine with its address costs. */
export const hourly = (price: Parameters<typeof hourlyOf>[0]): string => money(hourlyOf(price), price.currency)

/** What a box costs; undefined when it costs nothing. */
export function costOf({ cost, status }: Box): string | undefined {
  if (cost === null) return undefined
  const rate = cost.billed ? `${money(cost.hourly, cost.currency)} per hour, ` : ''
  const note = cost.billed && status === 'stopped' ? ' (a stopped machine is billed too)' : ''
  return `${rate}${money(cost.soFar, cost.currency)} so far${cost.billed ? note : ', not billed now'}`
}
