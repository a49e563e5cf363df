import { once } from 'node:events'
import type { ServerResponse } from 'node:http'

export interface ServerSentEvent {
  readonly event?: string
  readonly id?: number
  readonly data: unknown
}

export interface EventStream {
  /** Resolves when the client has room for more, or has gone away. */
  send(event: ServerSentEvent): Promise<void>
  end(): void
}

const heartbeatMs = 15_000

/**
 * Turns a response into server-sent events. A comment every 15 s keeps proxies from closing a quiet stream and finds
 * clients that are gone.
 */
export function openEventStream(response: ServerResponse): EventStream {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  response.flushHeaders()
  const heartbeat = setInterval(() => {
    // A client that does not read needs no sign of life, and must not make the buffer grow.
    if (!response.writableNeedDrain) response.write(':\n\n')
  }, heartbeatMs)
  response.once('close', () => clearInterval(heartbeat))
  return {
    async send({ event, id, data }) {
      if (response.destroyed) return
      const head = `${id === undefined ? '' : `id: ${id}\n`}${event === undefined ? '' : `event: ${event}\n`}`
      if (response.write(`${head}data: ${JSON.stringify(data)}\n\n`)) return
      const gone = new AbortController()
      const leave = (): void => gone.abort()
      response.once('close', leave)
      await once(response, 'drain', { signal: gone.signal }).catch(() => undefined)
      response.off('close', leave)
    },
    end() {
      clearInterval(heartbeat)
      response.end()
    },
  }
}

/**
 * Sends what a source yields, as fast as the client takes it, until it ends. The head is written when the first event, or the
 * end, is there, so that a source that fails at once still becomes an ordinary error; `eager` writes it before.
 */
export async function streamEvents(
  response: ServerResponse,
  source: AsyncIterable<ServerSentEvent>,
  options: { readonly eager?: boolean } = {},
): Promise<void> {
  let events = options.eager ? openEventStream(response) : undefined
  for await (const event of source) {
    if (response.destroyed) return
    events ??= openEventStream(response)
    await events.send(event)
  }
  events ??= openEventStream(response)
  events.end()
}

/** Whether the client asked for server-sent events. */
export const wantsEvents = (accept: string | undefined): boolean =>
  accept?.split(',').some((part) => part.trim().toLowerCase().startsWith('text/event-stream')) ?? false
