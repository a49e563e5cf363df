import type { IncomingMessage } from 'node:http'
import { GibilError } from '@gibil/contract'
import type { WebSocket } from 'ws'
import { connectionError } from './failure.ts'
import { apiPath, authorization, errorOf, type Query, type Transport, unixAgent } from './transport.ts'

/** Silence for this long, with a ping unanswered, means that the other side is gone. */
const pingEveryMs = 20_000
const maxErrorBytes = 64 * 1024

/**
 * Opens a WebSocket of the API. It is paused, so that nothing is lost which the other side says at once: listen, then resume it. A refusal before the upgrade is
 * thrown as its GibilError.
 */
export async function openWebSocket(
  transport: Transport,
  path: string,
  options: { readonly query?: Query; readonly signal?: AbortSignal | undefined } = {},
): Promise<WebSocket> {
  const { signal } = options
  if (signal?.aborted) throw new GibilError('cancelled', 'The call was cancelled.', { cause: signal.reason })
  const endpoint = await transport.endpoint()
  const { WebSocket } = await import('ws')
  const origin = endpoint.kind === 'http' ? endpoint.url.origin : 'http://localhost'
  // closeTimeout is new in ws 8.19 and not in its types yet.
  const settings = {
    perMessageDeflate: false,
    skipUTF8Validation: true,
    closeTimeout: 1000,
    headers: authorization(endpoint),
    // Not by `createConnection`: in the extension host of VS Code, requests without an agent get one that looks for a proxy.
    ...(endpoint.kind === 'socket' ? { agent: unixAgent(endpoint.path) } : {}),
  }
  const socket = new WebSocket(`${origin}${apiPath(endpoint, path, options.query)}`, settings)
  const abort = (): void => socket.terminate()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('open', () => {
        socket.pause()
        resolve()
      })
      socket.once('error', reject)
      socket.once('unexpected-response', (_request: unknown, response: IncomingMessage) => {
        refusal(response).then(reject, reject)
      })
    })
  } catch (error) {
    // Terminating a socket that never opened emits one more error.
    socket.on('error', () => {})
    socket.terminate()
    throw connectionError(error, endpoint, signal)
  } finally {
    signal?.removeEventListener('abort', abort)
  }
  watchLiveness(socket)
  return socket
}

async function refusal(response: IncomingMessage): Promise<GibilError> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response) {
    size += chunk.length
    if (size > maxErrorBytes) break
    chunks.push(chunk)
  }
  return errorOf(response.statusCode ?? 500, Buffer.concat(chunks))
}

/** Ends a connection whose peer has vanished without a word, which TCP alone would keep for hours. */
function watchLiveness(socket: WebSocket): void {
  let answered = true
  const timer = setInterval(() => {
    // A paused socket reads no pong; the consumer is slow then, not the peer dead.
    if (!answered && !socket.isPaused) return socket.terminate()
    answered = false
    socket.ping()
  }, pingEveryMs)
  timer.unref()
  socket.on('pong', () => {
    answered = true
  })
  socket.on('error', () => {})
  socket.once('close', () => clearInterval(timer))
}
