import { GibilError } from '@gibil/contract'
import type * as z from 'zod'
import { cloudCodeOf, failureOf, outcomeOf, parseJson, unanswered } from './failure.ts'
import type { Pace } from './pace.ts'

export interface TransportOptions {
  /** Where the API is, without a slash at the end. */
  readonly endpoint: string
  /** Asked for each request, so that a new token needs no restart. Throws `cloud_unauthorized`. */
  readonly token: () => string
  readonly pace: Pace
  /** How long a call is tried again where that is safe, in ms. */
  readonly patienceMs: number
  /** How long one request may take, in ms; 30 s if absent. */
  readonly timeoutMs?: number | undefined
}

interface Call<T> {
  readonly query?: Readonly<Record<string, string | number | readonly (string | number)[] | undefined>> | undefined
  readonly body?: unknown
  /** Of the answer; an answer that does not fit fails as `cloud_failed`. */
  readonly schema: z.ZodType<T>
  readonly signal?: AbortSignal | undefined
  /** Instead of that of the transport. */
  readonly patienceMs?: number | undefined
}

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

export interface Transport {
  /**
   * One call. A read is tried again, with a growing and random wait, when the cloud cannot be reached, is overloaded or too many requests came. A change is sent
   * again only where it is known that nothing came of it; when that is unknown it fails with `outcome: 'unknown'` in its details, and the caller looks.
   * A signal ends waiting, and reads; a change that is under way is waited for, so that what came of it is known.
   * Throws `cloud_unauthorized`, `cloud_limit`, `cloud_sold_out`, `cloud_unreachable`, `cloud_failed`, `cancelled`.
   */
  call<T>(method: Method, path: string, call: Call<T>): Promise<T>
  /** Requests that are left of the hour, as the last answer said. */
  remaining(): number
}

const firstWaitMs = 1000
const longestWaitMs = 20_000

export function createTransport(options: TransportOptions): Transport {
  const { endpoint, token, pace, timeoutMs = 30_000 } = options
  let remaining = Number.POSITIVE_INFINITY
  let resetAt = 0

  const once = async <T>(method: Method, path: string, call: Call<T>): Promise<T> => {
    const url = `${endpoint}${path}${queryOf(call.query)}`
    const stop = method === 'GET' ? [...(call.signal ? [call.signal] : [])] : []
    let response: Response
    let text: string
    try {
      response = await fetch(url, {
        method,
        headers: {
          authorization: `Bearer ${token()}`,
          'user-agent': 'gibil',
          ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), ...stop]),
      })
      text = await response.text()
    } catch (error) {
      if (GibilError.is(error)) throw error
      throwIfCancelled(call.signal)
      throw unanswered(method, path, outcomeOf(error), error)
    }
    remaining = numberIn(response.headers, 'ratelimit-remaining') ?? remaining
    resetAt = (numberIn(response.headers, 'ratelimit-reset') ?? 0) * 1000
    const correlationId = response.headers.get('x-correlation-id')
    if (!response.ok) throw failureOf({ method, path, status: response.status, text, correlationId })
    const parsed = call.schema.safeParse(text === '' ? {} : parseJson(text))
    if (parsed.success) return parsed.data
    throw new GibilError('cloud_failed', `Hetzner Cloud answered ${method} ${path} with something unexpected.`, {
      cause: parsed.error,
      // It was carried out, whatever it was.
      details: { correlationId, outcome: 'unknown' },
    })
  }

  return {
    remaining: () => remaining,
    async call(method, path, call) {
      const until = pace.now() + (call.patienceMs ?? options.patienceMs)
      for (let attempt = 0; ; attempt += 1) {
        throwIfCancelled(call.signal)
        try {
          return await once(method, path, call)
        } catch (error) {
          throwIfCancelled(call.signal)
          const longest = Math.min(longestWaitMs, firstWaitMs * 2 ** attempt)
          let waitMs = longest * (0.5 + pace.random() / 2)
          if (cloudCodeOf(error) === 'rate_limit_exceeded' && resetAt > pace.now()) {
            waitMs = Math.min(waitMs, resetAt - pace.now())
          }
          if (!mayBeSentAgain(method, error) || pace.now() + waitMs > until) throw error
          await pace.sleep(waitMs, call.signal)
        }
      }
    },
  }
}

/** Refusals that pass: an action is under way there (423), another change came first (409), too many requests (429). */
const passing = ['locked', 'conflict', 'rate_limit_exceeded']

function mayBeSentAgain(method: Method, error: unknown): boolean {
  if (!GibilError.is(error)) return false
  const { outcome, status } = error.details ?? {}
  if (outcome === 'unsent' || passing.includes(cloudCodeOf(error) ?? '')) return true
  return method === 'GET' && error.code === 'cloud_unreachable' && status !== 501
}

function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return
  throw GibilError.is(signal.reason)
    ? signal.reason
    : new GibilError('cancelled', 'It was cancelled.', { cause: signal.reason })
}

function queryOf(query: Call<unknown>['query']): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of Array.isArray(value) ? value : value === undefined ? [] : [value])
      search.append(name, String(one))
  }
  const text = search.toString()
  return text === '' ? '' : `?${text}`
}

function numberIn(headers: Headers, name: string): number | undefined {
  const value = headers.get(name)
  const number = Number(value)
  return value === null || !Number.isFinite(number) ? undefined : number
}
