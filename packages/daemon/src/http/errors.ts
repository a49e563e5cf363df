import { type ErrorBody, errorTable, GibilError } from '@gibil/contract'

export interface ErrorAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: ErrorBody
}

/** Any thrown value as the API answers it: status by the error table, `Retry-After` in seconds where it helps. */
export function errorAnswer(thrown: unknown, signal?: AbortSignal): ErrorAnswer {
  const error = asGibilError(thrown, signal)
  const { status } = errorTable[error.code]
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (error.code === 'busy' || error.code === 'interrupted') {
    const seconds = Number(error.details?.['retryAfterSeconds'] ?? 1)
    headers['retry-after'] = String(Math.max(1, Math.ceil(Number.isFinite(seconds) ? seconds : 1)))
  }
  if (error.code === 'unauthorized') headers['www-authenticate'] = 'Bearer realm="gibil"'
  return { status, headers, body: error.toBody() }
}

/** What the abort of a call throws is the reason given for it, whatever the layers below made of it. */
export function asGibilError(thrown: unknown, signal?: AbortSignal): GibilError {
  if (GibilError.is(thrown)) return thrown
  if (signal?.aborted && GibilError.is(signal.reason)) return signal.reason
  if (thrown instanceof Error && thrown.name === 'TimeoutError') {
    return new GibilError('timeout', 'The box did not answer in time.', { cause: thrown })
  }
  return GibilError.from(thrown)
}
