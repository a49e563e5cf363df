import type { Clock } from '../ports/clock.ts'

/** Lets others wait for the next change of something. */
export interface Pulse {
  beat(): void
  /** Resolves at the next beat, after so many milliseconds, or when the signal aborts. */
  next(ms: number, signal?: AbortSignal): Promise<void>
}

export function createPulse(clock: Clock): Pulse {
  let wake = Promise.withResolvers<void>()
  return {
    beat() {
      const waiting = wake
      wake = Promise.withResolvers()
      waiting.resolve()
    },
    next(ms, signal) {
      const { promise } = wake
      return new Promise((resolve) => {
        const done = (): void => {
          cancel()
          signal?.removeEventListener('abort', done)
          resolve()
        }
        const cancel = clock.after(ms, done)
        signal?.addEventListener('abort', done, { once: true })
        void promise.then(done)
        if (signal?.aborted) done()
      })
    },
  }
}
