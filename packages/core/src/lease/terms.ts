import { formatDuration, GibilError, parseDuration, type Shape } from '@gibil/contract'
import type { BoxRecord, Desired } from '../box-record.ts'

const minute = 60_000
const day = 86_400_000

const defaultTtlMs = 60 * minute

const ranges: Readonly<Record<Shape, { readonly min: number; readonly max: number; readonly none: boolean }>> = {
  container: { min: 1000, max: 365 * day, none: true },
  microvm: { min: 1000, max: 365 * day, none: true },
  vm: { min: 15 * minute, max: 30 * day, none: false },
}

/** How long a shape lives, in words that follow its name. */
export function lifeOf(shape: Shape): string {
  const { min, max, none } = ranges[shape]
  return `lives ${formatDuration(min)} to ${formatDuration(max)}${none ? ' or "none"' : ''}`
}

/** Milliseconds, or null for `none`. Throws `invalid_duration`, `lease_out_of_range`. */
export function parseTtl(text: string | number | undefined, shape: Shape): number | null {
  const range = ranges[shape]
  const limits = `A ${shape} ${lifeOf(shape)}.`
  if (text === 'none') {
    if (range.none) return null
    throw new GibilError('lease_out_of_range', `A ${shape} cannot live without an end.`, { hint: limits })
  }
  const ttl = text === undefined ? defaultTtlMs : parseDuration(text)
  if (ttl >= range.min && ttl <= range.max) return ttl
  const side = ttl < range.min ? 'short' : 'long'
  throw new GibilError('lease_out_of_range', `A TTL of ${formatDuration(ttl)} is too ${side} for a ${shape}.`, {
    hint: limits,
  })
}

/** Whether a shape may have a TTL. Throws `invalid_duration`. */
export function allowsTtl(text: string | number, shape: Shape): boolean {
  const { min, max, none } = ranges[shape]
  if (text === 'none') return none
  const ttl = parseDuration(text)
  return ttl >= min && ttl <= max
}

/** Milliseconds, at least a second, or null for no idle limit. Throws `invalid_duration`, `lease_out_of_range`. */
export function parseIdle(text: string | number | undefined): number | null {
  if (text === undefined || text === 'none') return null
  const idle = parseDuration(text)
  if (idle >= 1000 && idle <= 365 * day) return idle
  throw new GibilError('lease_out_of_range', `An idle limit of ${formatDuration(idle)} is out of range.`, {
    hint: 'Give 1s to 365d, or "none".',
  })
}

/** The lease of a box that stopped or paused because it ended begins again when the box does. */
export function renewedLease(record: BoxRecord, desired: Desired, now: number): Partial<BoxRecord> {
  if (desired !== 'running' || record.expiresAt !== null || record.ttlMs === null) return {}
  return { expiresAt: now + record.ttlMs }
}
