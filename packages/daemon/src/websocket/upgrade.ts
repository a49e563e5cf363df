import type { IncomingMessage, Server } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { GibilError, maxFrameBytes } from '@gibil/contract'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Api } from '../api.ts'
import { apiOf, callerOf } from '../http/caller.ts'
import { asGibilError, errorAnswer } from '../http/errors.ts'
import { apiPrefix } from '../http/prefix.ts'
import { rawResponse } from '../http/server.ts'

/** What a WebSocket route does once the request is known to be allowed. It calls `accept` when it can serve. */
export type WebSocketHandler = (call: WebSocketCall, api: Api) => Promise<void>

interface WebSocketCall {
  readonly box: string
  readonly search: URLSearchParams
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal
  readonly accept: () => Promise<WebSocket>
}

export interface WebSockets {
  /** Serves upgrades on a server. */
  attach(server: Server, options: { readonly trusted: boolean }): void
  /** Tells every client that the daemon goes away. Commands go on in their boxes. */
  close(): void
}

/** A client that is gone may be noticed only by writing to it, when it is not read at the moment. */
const pingEveryMs = 30_000
/** For the client to answer that it has seen the end. */
const closeGraceMs = 1000

/** The WebSocket routes `/v1/boxes/{box}/<name>`. */
export function createWebSockets(handlers: ReadonlyMap<string, WebSocketHandler>, api: Api): WebSockets {
  const upgrader = new WebSocketServer({
    noServer: true,
    clientTracking: true,
    perMessageDeflate: false,
    skipUTF8Validation: true,
    maxPayload: maxFrameBytes + 1,
  })

  const pings = setInterval(() => {
    for (const client of upgrader.clients) client.ping()
  }, pingEveryMs).unref()

  const serve = async (request: IncomingMessage, socket: Duplex, head: Buffer, trusted: boolean): Promise<void> => {
    const abort = new AbortController()
    const cancel = (): void => abort.abort(new GibilError('cancelled', 'The client went away.'))
    socket.once('close', cancel)
    if (socket instanceof Socket) socket.setNoDelay(true)
    let accepted = false
    try {
      const url = new URL(request.url ?? '/', 'http://localhost')
      const caller = await callerOf(request.headers, trusted, api)
      if (caller) {
        abort.signal.throwIfAborted()
        socket.once('close', api.daemon.openCalls.enter(caller.name))
        const leave = caller.onRevoked((reason) => {
          abort.abort(reason)
          if (accepted) socket.destroy()
        })
        socket.once('close', leave)
      }
      const { box, handler } = find(url.pathname)
      await api.daemon.ready
      const accept = (): Promise<WebSocket> =>
        new Promise((resolve, reject) => {
          if (abort.signal.aborted) return reject(abort.signal.reason)
          accepted = true
          upgrader.handleUpgrade(request, socket, head, resolve)
        })
      await handler({ box, search: url.searchParams, signal: abort.signal, accept }, apiOf(caller, api))
    } catch (thrown) {
      const error = asGibilError(thrown, abort.signal)
      api.log.debug({ code: error.code, message: error.message }, 'a WebSocket was refused')
      if (accepted || !socket.writable) socket.destroy()
      else socket.end(rawResponse(errorAnswer(error)))
    }
  }

  const find = (pathname: string): { box: string; handler: WebSocketHandler } => {
    const [, prefix, boxes, box, name = '', ...rest] = pathname.split('/')
    const handler = handlers.get(name)
    if (`/${prefix}` !== apiPrefix || boxes !== 'boxes' || !box || !handler || rest.length > 0) {
      throw new GibilError('not_found', `The API has no WebSocket route ${pathname.slice(0, 200)}.`)
    }
    return { box: decodeURIComponent(box), handler }
  }

  return {
    attach(server, { trusted }) {
      server.on('upgrade', (request, socket, head) => {
        socket.on('error', () => socket.destroy())
        void serve(request, socket, head, trusted)
      })
    },
    close() {
      clearInterval(pings)
      for (const client of upgrader.clients) {
        client.close(1001, 'the daemon stops')
        setTimeout(() => client.terminate(), closeGraceMs).unref()
      }
      upgrader.close()
    },
  }
}
