import { type Box, leftOf } from '@gibil/sdk'

const minute = 60_000
const units: readonly (readonly [string, number])[] = [
  ['d', 24 * 60 * minute],
  ['h', 60 * minute],
  ['m', minute],
]

/** For a label that is written anew only now and then, so without seconds: `6d 23h`, `1h 29m`, `4m`, `<1m`. In milliseconds. */
export function coarse(milliseconds: number): string {
  let rest = Math.max(0, milliseconds)
  const parts: string[] = []
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size)
    if (count > 0) parts.push(`${count}${unit}`)
    rest -= count * size
    if (parts.length === 2) break
  }
  return parts.length === 0 ? '<1m' : parts.join(' ')
}

export function timeLeft(box: Pick<Box, 'lease'>, now: number): string {
  const left = leftOf(box, now)
  if (left === undefined) return 'no end'
  return left > 0 ? `${coarse(left)} left` : 'time is over'
}
