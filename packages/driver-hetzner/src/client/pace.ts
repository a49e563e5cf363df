import { setTimeout as wait } from 'node:timers/promises'
import { GibilError } from '@gibil/contract'

/** Time and chance, so that a test need not wait for either. */
export interface Pace {
  /** Milliseconds since 1970. */
  now(): number
  /** Throws `cancelled` when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** At least 0 and less than 1. */
  random(): number
}

export const realPace: Pace = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    try {
      await wait(ms, undefined, signal ? { signal } : {})
    } catch (error) {
      throw GibilError.is(signal?.reason)
        ? signal.reason
        : new GibilError('cancelled', 'It was cancelled.', { cause: error })
    }
  },
  random: Math.random,
}
