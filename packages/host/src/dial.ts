import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { createConnection } from 'node:net'
import type { Duplex } from 'node:stream'
import { GibilError } from '@gibil/contract'
import { errnoOf } from './files.ts'

/** linux/fcntl.h: a handle on the file itself, without opening it. */
const O_PATH = 0o10_000_000

/**
 * Connects to a socket in a directory that the box can write to. What lies there may be a link to a socket of the host, so the last part of the path
 * is never followed. Throws `boxd_unreachable`, `cancelled`.
 */
export async function dialShared(path: string, id: string, signal?: AbortSignal): Promise<Duplex> {
  const handle = await open(path, O_PATH | constants.O_NOFOLLOW).catch((error: unknown) => {
    throw unreachable(id, error)
  })
  try {
    if (!(await handle.stat()).isSocket()) throw unreachable(id, new Error('no socket is there'))
    return await dialSocket(`/proc/self/fd/${handle.fd}`, id, signal)
  } finally {
    await handle.close()
  }
}

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
      reject(unreachable(id, error))
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

function unreachable(id: string, cause: unknown): GibilError {
  const why = errnoOf(cause) ?? (cause instanceof Error ? cause.message : String(cause))
  return new GibilError('boxd_unreachable', `The boxd of box ${id} does not answer: ${why}.`, { cause })
}

function cancelled(signal: AbortSignal | undefined): GibilError {
  return new GibilError('cancelled', 'The connection to boxd was given up.', { cause: signal?.reason })
}
