import { GibilError } from '@gibil/contract'
import type { Endpoint } from './locate.ts'

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined

/** Connection never made: nothing of the request has reached a daemon. */
const unreachable = new Set([
  'ENOENT',
  'ECONNREFUSED',
  'EACCES',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTDIR',
  'ETIMEDOUT',
])

/** What a failed connection means to the user: nobody there, no right to connect, cancelled, or lost midway. */
export function connectionError(error: unknown, endpoint: Endpoint, signal?: AbortSignal): GibilError {
  if (GibilError.is(error)) return error
  if (signal?.aborted) return new GibilError('cancelled', 'The call was cancelled.', { cause: signal.reason })
  const code = codeOf(error)
  const where = endpoint.kind === 'socket' ? endpoint.path : endpoint.url.origin
  if (code === 'EACCES') {
    return new GibilError('daemon_unreachable', `You may not use the socket of the daemon at ${where}.`, {
      hint: 'Run as the user that owns the daemon, or set GIBIL_URL and GIBIL_TOKEN.',
      cause: error,
    })
  }
  if (code !== undefined && unreachable.has(code)) {
    return new GibilError('daemon_unreachable', `No daemon answers at ${where}.`, {
      hint: hintFor(endpoint),
      cause: error,
    })
  }
  const reason = error instanceof Error ? error.message : String(error)
  return new GibilError('interrupted', `The connection to the daemon at ${where} was lost (${reason}).`, {
    cause: error,
  })
}

function hintFor(endpoint: Endpoint): string {
  if (endpoint.kind === 'http') return 'Check GIBIL_URL, and that the daemon of that machine runs.'
  return process.getuid?.() === 0
    ? 'Start it with `./gibil up`.'
    : 'Start it with `./gibil up`. One that runs as root is reached with sudo, or by GIBIL_URL and GIBIL_TOKEN.'
}
