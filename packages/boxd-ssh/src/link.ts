import type { GibilError } from '@gibil/contract'
import type { Clock } from '@gibil/core'
import { type Connection, unreachable } from './connection.ts'
import { cancelled } from './run.ts'

/** One connection that is kept: once it was asked for, it is made again whenever it is lost, until the end. */
export interface Link {
  /** The connection, or the next one. Throws `boxd_unreachable` with the reason of the last attempt, `host_key_mismatch`, `cancelled`. */
  get(signal?: AbortSignal): Promise<Connection>
  close(): void
}

export interface LinkOptions {
  readonly connect: () => Promise<Connection>
  readonly clock: Clock
  readonly log: (level: 'debug' | 'info' | 'warn', message: string, facts: Readonly<Record<string, unknown>>) => void
  readonly id: string
}

const firstPauseMs = 200
const longestPauseMs = 10_000

/**
 * An attempt that failed is made again by itself, after a pause that doubles up to 10 s. Whoever asks waits for the attempt that is under way or comes next, and
 * gets its result: who calls often does not knock often, which many machines punish.
 */
export function keepLink({ connect, clock, log, id }: LinkOptions): Link {
  let current: Connection | undefined
  let next: Promise<Connection> | undefined
  let cancelPause: (() => void) | undefined
  let failures = 0
  let closed: GibilError | undefined

  const attempt = async (): Promise<Connection> => {
    if (closed) throw closed
    const connection = await connect()
    if (closed) {
      connection.end()
      throw closed
    }
    return connection
  }
  /** The attempt after the pause; it is what everyone waits for. */
  const schedule = (pauseMs: number): Promise<Connection> => {
    const after = new Promise<void>((resolve) => {
      if (pauseMs === 0) return resolve()
      const cancel = clock.after(pauseMs, resolve)
      cancelPause = () => {
        cancel()
        resolve()
      }
    })
    const result = after.then(attempt)
    next = result
    void result.then(established, failed)
    return result
  }
  const established = (connection: Connection): void => {
    if (failures > 0) log('info', 'A box is reached by SSH again.', { box: id, failures })
    failures = 0
    next = undefined
    current = connection
    connection.onLost((why) => {
      current = undefined
      if (closed) return
      log('warn', 'The SSH connection to a box was lost.', { box: id, reason: why.message })
      void schedule(firstPauseMs)
    })
  }
  const failed = (error: GibilError): void => {
    next = undefined
    if (closed) return
    failures += 1
    // Another machine does not become the right one by trying: only who asks tries again.
    if (error.code === 'host_key_mismatch') {
      log('warn', error.message, { box: id, ...error.details })
      return
    }
    log('debug', error.message, { box: id, failures })
    void schedule(Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(failures, 10)))
  }

  return {
    async get(signal) {
      if (closed) throw closed
      if (signal?.aborted) throw cancelled(signal)
      return current ?? (await unless(signal, next ?? schedule(0)))
    },
    close() {
      closed ??= unreachable(`The connection to box ${id} was closed.`)
      current?.end()
      cancelPause?.()
    },
  }
}

/** The promise, or a rejection as soon as the signal aborts. */
export async function unless<T>(signal: AbortSignal | undefined, promise: Promise<T>): Promise<T> {
  if (!signal) return await promise
  let stop: (() => void) | undefined
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(cancelled(signal))
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    if (stop) signal.removeEventListener('abort', stop)
  }
}
