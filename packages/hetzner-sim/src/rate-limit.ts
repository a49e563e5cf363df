/** A bucket of requests that fills by itself. */
export interface Bucket {
  readonly limit: number
  /** Takes one request out; false when there is none. */
  take(): boolean
  /** Whole requests that are left. */
  remaining(): number
  /** Unix seconds at which the bucket is full again. */
  reset(): number
  /** Leaves so many in it, for tests of clients that ask too often. */
  drainTo(left: number): void
}

/**
 * Hetzner's limit: 3600 requests an hour for each project, of which one comes back each second.
 * `now` in milliseconds, `perSecond` how many come back in one.
 */
export function createBucket(now: () => number, limit = 3600, perSecond = 1): Bucket {
  let level = limit
  let at = now()
  const refill = (): void => {
    const time = now()
    level = Math.min(limit, level + ((time - at) / 1000) * perSecond)
    at = time
  }
  return {
    limit,
    take() {
      refill()
      if (level < 1) return false
      level -= 1
      return true
    },
    remaining() {
      refill()
      return Math.floor(level)
    },
    reset() {
      refill()
      return Math.ceil((at + ((limit - level) / perSecond) * 1000) / 1000)
    },
    drainTo(left) {
      refill()
      level = Math.min(level, left)
    },
  }
}
