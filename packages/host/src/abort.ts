import { GibilError } from '@gibil/contract'

/** Throws what ended the signal, as an error that says so. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return
  if (GibilError.is(signal.reason)) throw signal.reason
  throw new GibilError('cancelled', 'The box was cancelled before it ran.', { cause: signal.reason })
}
