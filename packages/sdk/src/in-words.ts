/** What doors say of a box alike. Times are milliseconds. */
import { type Box, type Choice, formatBytes, formatMoney } from '@gibil/contract'

const mib = 1024 * 1024

/** How a box is named to the daemon: one of a token needs its owner beside it, which only the administrator sees. */
export const refOf = ({ name, owner }: Pick<Box, 'name' | 'owner'>): string =>
  owner === null ? name : `${name}@${owner}`

/** Such as `2 cpu, 4 GiB, 10 GiB disk`. */
export const sizeInWords = ({ cpu, memoryMib, diskMib }: Box['size']): string =>
  `${cpu} cpu, ${formatBytes(memoryMib * mib)}, ${formatBytes(diskMib * mib)} disk`

/** Until its lease ends, 0 or less when that is over; undefined where it has no end. */
export const leftOf = ({ lease }: Pick<Box, 'lease'>, now: number): number | undefined =>
  lease.expiresAt === null ? undefined : Date.parse(lease.expiresAt) - now

/** Such as `0.0096 EUR per hour, 0.02 EUR so far`; undefined when it costs nothing. */
export function costInWords({ cost, status }: Pick<Box, 'cost' | 'status'>): string | undefined {
  if (cost === null) return undefined
  const { hourly, currency, billed, soFar } = cost
  const sum = `${formatMoney(soFar, currency)} so far`
  if (!billed) return `${sum}, not billed now`
  return `${formatMoney(hourly, currency)} per hour, ${sum}${status === 'stopped' ? ' (a stopped machine is billed too)' : ''}`
}

/** Such as `microvm`, or `vm at hetzner`. */
export const placeInWords = ({ shape, provider }: Pick<Choice, 'shape' | 'provider'>): string =>
  provider === 'local' ? shape : `${shape} at ${provider}`

/** What stands against a box that was not chosen. */
export const whyNot = ({ lacks, note }: Pick<Choice['others'][number], 'lacks' | 'note'>): string =>
  lacks.map(({ text }) => text).join('; ') || `would do too, but ${note ?? 'is not lighter'}`
