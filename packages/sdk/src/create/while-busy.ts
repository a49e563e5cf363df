import { setTimeout as sleep } from 'node:timers/promises'
import { GibilError } from '@gibil/contract'
import type { LongCallOptions } from '../images.ts'

/** How long a create is asked for again. After it the caller hears that the daemon is busy, and may decide for himself. */
const patienceMs = 60_000
const longestPauseSeconds = 15

/**
 * Asks again while the daemon is `busy`, after the time that it names (Retry-After), longer each time, and a little apart from
 * others who were refused at the same moment. For calls of which nothing has been done when they are refused.
 */
export async function whileBusy<T>(
  ask: () => Promise<T>,
  { onProgress, signal }: LongCallOptions,
  random: () => number = Math.random,
): Promise<T> {
  const until = Date.now() + patienceMs
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ask()
    } catch (error) {
      if (!GibilError.is(error) || error.code !== 'busy') throw error
      const named = Number(error.details?.['retryAfterSeconds'] ?? 1)
      const pause = Math.max(named, Math.min(longestPauseSeconds, named * 1.5 ** attempt)) * (1 + random() / 2) * 1000
      if (!(Date.now() + pause <= until)) throw error
      onProgress?.({ phase: 'busy', message: `the daemon is busy, asking again in ${Math.ceil(pause / 1000)} s` })
      await sleep(pause, undefined, signal ? { signal } : {}).catch((cause: unknown) => {
        throw new GibilError('cancelled', 'The create was cancelled while the daemon was busy.', { cause })
      })
    }
  }
}
