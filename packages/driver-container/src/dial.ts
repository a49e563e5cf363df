import { createConnection } from 'node:net'
import type { Duplex } from 'node:stream'
import { GibilError } from '@gibil/contract'
import { errnoOf } from './files.ts'

/** Connects to the unix socket that a box's boxd listens on. Throws `boxd_unreachable`, `cancelled`. */
export function dialSocket(path: string, id: string, signal?: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(cancelled(signal))
    const socket = createConnection({ path, allowHalfOpen: true })
    const onAbort = (): void => {
      socket.destroy()
      reject(cancelled(signal))
    }
    const onError = (error: Error): void => {
      signal?.removeEventListener('abort', onAbort)
      reject(
        new GibilError(
          'boxd_unreachable',
          `The boxd of box ${id} does not answer: ${errnoOf(error) ?? error.message}.`,
          {
            cause: error,
          },
        ),
      )
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    socket.once('error', onError)
    socket.once('connect', () => {
      signal?.removeEventListener('abort', onAbort)
      socket.off('error', onError)
      resolve(socket)
    })
  })
}

function cancelled(signal: AbortSignal | undefined): GibilError {
  return new GibilError('cancelled', 'The connection to boxd was given up.', { cause: signal?.reason })
}
