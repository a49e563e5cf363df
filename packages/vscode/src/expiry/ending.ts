import { type Box, leftOf, parseDuration } from '@gibil/sdk'

const tenMinutes = 600_000

/** How long before its end somebody is asked about a box, in milliseconds. `setting`: a duration, `off`, or empty for the last quarter of its time. */
function askBefore({ lease }: Box, setting: string): number {
  if (setting === 'off') return 0
  if (setting !== '') {
    try {
      return parseDuration(setting)
    } catch {
      // The editor of settings has said that it is none; then it is as if nothing was set.
    }
  }
  return Math.min(tenMinutes, ((lease.ttlSeconds ?? 0) * 1000) / 4)
}

/** Boxes that end soon. */
export function endingSoon(boxes: readonly Box[], setting: string, now: number): Box[] {
  return boxes.filter((box) => {
    const left = leftOf(box, now)
    const alive = box.status !== 'destroying' && box.status !== 'destroyed'
    return alive && left !== undefined && left > 0 && left <= askBefore(box, setting)
  })
}

/** The same end is asked about once: a box that was extended is asked about again. */
export const endOf = (box: Box): string => `${box.id} ${box.lease.expiresAt}`

const verbs = { destroy: 'destroyed', stop: 'stopped', pause: 'paused' } as const
export const whatHappens = (box: Box): string => verbs[box.lease.onExpire]

/** The time to live, counted from now, that gives a box so many milliseconds more than it has; as the daemon takes it. */
export const ttlWithMore = (box: Box, more: number, now: number): string =>
  `${Math.ceil((Math.max(0, leftOf(box, now) ?? 0) + more) / 1000)}s`
