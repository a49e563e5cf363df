import { GibilError } from '@gibil/contract'
import * as z from 'zod'
import { cloudErrorCode } from './failure.ts'
import type { Pace } from './pace.ts'
import { ApiAction } from './schemas.ts'
import type { Transport } from './transport.ts'

/** So many ids go into one request, as in Hetzner's own client. */
const idsPerRequest = 25
/** A request each second is all that the API allows (3600 in an hour), so the look that serves every action leaves room for others. */
const firstLookMs = 1000
const laterLookMs = 2000
const sparingLookMs = 10_000
/** Below so many requests left in the hour it looks less often. */
const fewLeft = 600

interface Waiting {
  readonly done: (action: ApiAction) => void
  readonly failed: (error: unknown) => void
}

export interface Actions {
  /**
   * Waits until all of them have ended. Throws `cloud_sold_out` and others by the code of the first one that failed, `cancelled` when the signal aborts: what was
   * begun goes on then.
   */
  wait(actions: readonly ApiAction[], signal?: AbortSignal): Promise<void>
}

/** One poller for all actions that anybody waits for, whatever their number. */
export function createActions(transport: Transport, pace: Pace): Actions {
  const waiting = new Map<number, Set<Waiting>>()
  let polling = false

  const settle = (action: ApiAction): void => {
    if (action.status !== 'success' && action.status !== 'error') return
    const waiters = waiting.get(action.id)
    waiting.delete(action.id)
    for (const { done } of waiters ?? []) done(action)
  }

  const look = async (): Promise<void> => {
    const ids = [...waiting.keys()]
    for (let at = 0; at < ids.length; at += idsPerRequest) {
      const chunk = ids.slice(at, at + idsPerRequest)
      const { actions } = await transport.call('GET', '/actions', {
        query: { id: chunk, per_page: 50 },
        schema: z.object({ actions: z.array(ApiAction) }),
      })
      for (const action of actions) settle(action)
      const answered = new Set(actions.map(({ id }) => id))
      for (const id of chunk.filter((one) => !answered.has(one))) {
        const error = new GibilError('cloud_failed', `Hetzner Cloud does not know of action ${id} any more.`)
        for (const { failed } of waiting.get(id) ?? []) failed(error)
        waiting.delete(id)
      }
    }
  }

  const poll = async (): Promise<void> => {
    try {
      for (let count = 0; waiting.size > 0; count += 1) {
        const usual = count < 15 ? firstLookMs : laterLookMs
        await pace.sleep(transport.remaining() < fewLeft ? sparingLookMs : usual)
        if (waiting.size > 0) await look()
      }
    } catch (error) {
      for (const waiters of waiting.values()) for (const { failed } of waiters) failed(error)
      waiting.clear()
    } finally {
      polling = false
    }
  }

  const end = (action: ApiAction, signal: AbortSignal | undefined): Promise<ApiAction> =>
    new Promise((resolve, reject) => {
      const cancel = (): void => failed(signal?.reason)
      const waiters = waiting.get(action.id) ?? new Set<Waiting>()
      const leave = (): void => {
        signal?.removeEventListener('abort', cancel)
        waiters.delete(waiter)
        if (waiters.size === 0 && waiting.get(action.id) === waiters) waiting.delete(action.id)
      }
      const failed = (error: unknown): void => {
        leave()
        reject(GibilError.from(error, 'cancelled'))
      }
      const waiter: Waiting = {
        failed,
        done(ended) {
          leave()
          resolve(ended)
        },
      }
      signal?.addEventListener('abort', cancel, { once: true })
      waiting.set(action.id, waiters.add(waiter))
      if (signal?.aborted) return cancel()
      if (action.status === 'success' || action.status === 'error') return settle(action)
      if (polling) return
      polling = true
      void poll()
    })

  return {
    async wait(actions, signal) {
      const ended = await Promise.allSettled(actions.map((action) => end(action, signal)))
      for (const result of ended) {
        if (result.status === 'rejected') throw result.reason
        if (result.value.status === 'error') throw actionFailure(result.value)
      }
    },
  }
}

function actionFailure({ id, command, error }: ApiAction): GibilError {
  const code = error?.code ?? 'unknown_error'
  return new GibilError(
    cloudErrorCode(code),
    `Hetzner Cloud could not finish ${command}: ${error?.message ?? 'no reason given'} (${code}).`,
    { details: { cloudCode: code, action: id } },
  )
}
