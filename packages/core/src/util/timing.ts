import { GibilError } from '@gibil/contract'
import type { Clock } from '../ports/clock.ts'

/** Resolves after so many milliseconds; rejects with the reason of the signal. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener('abort', leave)
      resolve()
    })
    const leave = (): void => {
      cancel()
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', leave, { once: true })
  })
}

/** Rejects with the reason of the signal as soon as it aborts; the work itself goes on unheard. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(signal.reason)
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
  })
}

/** Throws `timeout` when the work takes longer. */
export async function within<T>(clock: Clock, ms: number, what: string, work: Promise<T>): Promise<T> {
  const limit = new AbortController()
  const cancel = clock.after(ms, () => limit.abort(new GibilError('timeout', `${what} took longer than ${ms} ms.`)))
  try {
    return await abortable(work, limit.signal)
  } finally {
    cancel()
  }
}
