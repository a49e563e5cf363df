import { type Box, formatMoney, hourlyOf } from '@gibil/sdk'

/** What an hour of a machine with its address costs. */
export const hourly = (price: Parameters<typeof hourlyOf>[0]): string => formatMoney(hourlyOf(price), price.currency)

/** What a box costs; undefined when it costs nothing. */
export function costOf({ cost, status }: Box): string | undefined {
  if (cost === null) return undefined
  const rate = cost.billed ? `${formatMoney(cost.hourly, cost.currency)} per hour, ` : ''
  const note = cost.billed && status === 'stopped' ? ' (a stopped machine is billed too)' : ''
  return `${rate}${formatMoney(cost.soFar, cost.currency)} so far${cost.billed ? note : ', not billed now'}`
}
