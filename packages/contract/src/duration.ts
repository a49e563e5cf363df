import { GibilError } from './errors.ts'

const second = 1000
const units: Readonly<Record<string, number>> = {
  s: second,
  m: 60 * second,
  h: 3600 * second,
  d: 86_400 * second,
  w: 7 * 86_400 * second,
  mo: 30 * 86_400 * second,
  y: 365 * 86_400 * second,
}

/**
 * Reads a duration such as `90m`, `2h`, `1h30m`, `7d`, `1mo`; a bare number is minutes.
 * Returns whole milliseconds, at least 1. Throws `invalid_duration` for anything else.
 */
export function parseDuration(text: string | number): number {
  const input = String(text).trim()
  const exact = /^\d+(\.\d+)?$/.test(input) ? Number(input) * 60 * second : sumOfParts(input)
  const milliseconds = Math.round(exact ?? 0)
  if (milliseconds < 1 || !Number.isSafeInteger(milliseconds)) {
    throw new GibilError('invalid_duration', `"${input.slice(0, 80)}" is not a duration.`)
  }
  return milliseconds
}

function sumOfParts(input: string): number | undefined {
  if (!/^(\d+(\.\d+)?(mo|[smhdwy]))+$/.test(input)) return undefined
  let total = 0
  for (const [, amount, unit] of input.matchAll(/(\d+(?:\.\d+)?)(mo|[smhdwy])/g)) {
    total += Number(amount) * (units[unit ?? ''] ?? Number.NaN)
  }
  return total
}

/** Writes milliseconds in the two largest units that matter: `1h 30m`, `45s`, `6d 23h`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < second) return `${Math.max(0, Math.round(milliseconds))}ms`
  let rest = Math.round(milliseconds / second) * second
  const parts: string[] = []
  for (const unit of ['d', 'h', 'm', 's']) {
    const size = units[unit] ?? second
    const count = Math.floor(rest / size)
    if (count > 0) parts.push(`${count}${unit}`)
    rest -= count * size
    if (parts.length === 2) break
  }
  return parts.join(' ')
}
