import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { closeServer, listenOnLoopback } from '../http/server.ts'
import { upgradeOf } from './headers.ts'
import type { PortProxy } from './serve.ts'

/** On 127.0.0.1: that port or none; `auto`: that of the last time, else the usual one, else any that is free; `off`: none. */
export type ProxyPort = number | 'auto' | 'off'

export interface ProxyListener {
  /** Null when it does not listen, for the reason that `problem` gives, if it should have. */
  readonly port: number | null
  readonly problem: string | null
  /** Ends what left HTTP at once, and lets answers end for a moment. */
  close(): Promise<void>
}

const usualProxyPort = 7080

const limits = {
  // A client that sends its headers byte by byte holds a connection no longer than this.
  headersTimeout: 10_000,
  connectionsCheckingInterval: 2_000,
  // Bodies and answers may take hours.
  requestTimeout: 0,
  keepAliveTimeout: 75_000,
  maxHeaderSize: 32 * 1024,
  shouldUpgradeCallback: (request: Parameters<typeof upgradeOf>[0]) => upgradeOf(request) !== undefined,
} as const
const maxConnections = 4096
/** Streams of events have no end: a longer grace would only make the end of the daemon longer. */
const closeGraceMs = 2_000

/** Listens for visitors of ports; the daemon does its other work also without. Never rejects. */
export async function listenForVisitors(
  proxy: PortProxy,
  wanted: ProxyPort,
  last: number | undefined,
): Promise<ProxyListener> {
  if (wanted === 'off')
    return { port: null, problem: 'it is switched off (daemon.proxy)', close: async () => undefined }
  const server = createServer(limits, proxy.request)
  server.maxConnections = maxConnections
  // The bytes of the headers bound their number; a limit of Node's would leave some out in silence.
  server.maxHeadersCount = 0
  server.on('checkContinue', proxy.request)
  server.on('clientError', refuse)
  // The server waits for these when it closes, and ends none of them.
  const upgraded = new Set<Duplex>()
  server.on('upgrade', (incoming, socket, head) => {
    upgraded.add(socket)
    socket.once('close', () => upgraded.delete(socket))
    proxy.upgrade(incoming, socket, head)
  })
  const close = async (): Promise<void> => {
    for (const socket of upgraded) socket.destroy()
    await closeServer(server, closeGraceMs)
  }
  try {
    return { port: await bind(server, wanted, last), problem: null, close }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { port: null, problem: `it cannot listen on 127.0.0.1:${wanted}: ${reason}`, close: async () => undefined }
  }
}

async function bind(server: Server, wanted: number | 'auto', last: number | undefined): Promise<number> {
  if (wanted !== 'auto') return listenOnLoopback(server, wanted)
  const tries = [last, usualProxyPort, 0].filter((port) => port !== undefined)
  for (const port of tries.slice(0, -1)) {
    const bound = await listenOnLoopback(server, port).catch(() => undefined)
    if (bound !== undefined) return bound
  }
  return listenOnLoopback(server, 0)
}

/** What is not HTTP, or too slow, or too long in its head, never becomes a request. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || socket.bytesWritten > 0) {
    socket.destroy()
    return
  }
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
  const text = `The request cannot be read: ${error.message}.\n`
  const head = ['content-type: text/plain', 'connection: close', `content-length: ${Buffer.byteLength(text)}`]
  socket.end(`HTTP/1.1 ${status} Refused\r\n${head.join('\r\n')}\r\n\r\n${text}`, () => socket.destroy())
}
