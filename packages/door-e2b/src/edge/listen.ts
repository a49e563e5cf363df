import { createServer as createHttpServer, type Server as HttpServer, type IncomingMessage } from 'node:http'
import { createServer as createHttp2Server, type Http2Server } from 'node:http2'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { Incoming, Outgoing } from '../deps.ts'
import type { Door } from '../door.ts'
import { speaksHttp2 } from './alpn.ts'
import type { Certificate } from './certificate.ts'

/** Where the door is reached. One port for everything: plain HTTP, and TLS with HTTP/1.1 or HTTP/2. */
export interface Edge {
  readonly port: number
  /** For connections from now on; those that are open stay. */
  renew(certificate: Certificate): void
  close(): Promise<void>
}

export interface EdgeOptions {
  /** On 127.0.0.1; 0: any that is free. */
  readonly port: number
  readonly certificate: Certificate
  /** Whether a request asks to leave HTTP. */
  readonly isUpgrade: (request: IncomingMessage) => boolean
}

const limits = {
  // A client that sends its headers byte by byte holds a connection no longer than this.
  headersTimeout: 10_000,
  connectionsCheckingInterval: 2_000,
  // Bodies and answers may take hours.
  requestTimeout: 0,
  // Longer than clients keep idle connections, so that none of them writes to one that is being closed.
  keepAliveTimeout: 75_000,
  maxHeaderSize: 32 * 1024,
} as const
const maxConnections = 8192
/** For the first byte, and then for the handshake of TLS. */
const helloMs = 10_000
/** The first byte of a TLS handshake (RFC 8446 section 5.1). */
const handshake = 22

/** Listens. Rejects with the error of the port. */
export async function openEdge(door: Door, { port, certificate, isUpgrade }: EdgeOptions): Promise<Edge> {
  const sockets = new Set<Socket>()
  const http1 = createHttpServer({ ...limits, shouldUpgradeCallback: isUpgrade }, (incoming, outgoing) =>
    door.request(incoming, outgoing),
  )
  http1.maxHeadersCount = 0
  http1.on('checkContinue', (incoming, outgoing) => {
    outgoing.writeContinue()
    door.request(incoming, outgoing)
  })
  http1.on('upgrade', (incoming, socket, head) => door.upgrade(incoming, socket, head))
  // One stream for each command that runs.
  const http2 = createHttp2Server({ settings: { maxConcurrentStreams: 4096 } }, (incoming, outgoing) =>
    door.request(incoming as unknown as Incoming, outgoing as unknown as Outgoing),
  )
  http2.on('sessionError', () => undefined)
  const tls = createTlsServer({
    ...certificate,
    minVersion: 'TLSv1.2',
    handshakeTimeout: helloMs,
    ALPNCallback: ({ servername, protocols }) => {
      const known = speaksHttp2(servername) ? ['h2', 'http/1.1'] : ['http/1.1']
      return known.find((protocol) => protocols.includes(protocol))
    },
  })
  tls.on('secureConnection', (secure) => {
    if (secure.alpnProtocol === 'h2') http2.emit('connection', secure)
    else http1.emit('connection', secure)
  })
  tls.on('tlsClientError', (_, secure) => secure.destroy())
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    sort(socket, { http1, tls })
  })
  server.maxConnections = maxConnections
  await bind(server, port)
  return {
    port: (server.address() as AddressInfo).port,
    renew: (next) => tls.setSecureContext({ ...next, minVersion: 'TLSv1.2' }),
    close: () => end(server, [http1, http2], sockets),
  }
}

/** Finds out by its first byte what a connection speaks. */
function sort(socket: Socket, { http1, tls }: { readonly http1: HttpServer; readonly tls: Server }): void {
  socket.setNoDelay(true)
  socket.setTimeout(helloMs, () => socket.destroy())
  socket.once('readable', () => {
    const first: Buffer | null = socket.read()
    if (first === null) return void socket.destroy()
    socket.unshift(first)
    socket.setTimeout(0)
    socket.removeAllListeners('timeout')
    if (first[0] === handshake) tls.emit('connection', socket)
    else http1.emit('connection', socket)
  })
}

function bind(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port, backlog: 1024 }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** Streams have no end by themselves: there is nothing to wait for. */
async function end(server: Server, inner: readonly (HttpServer | Http2Server)[], sockets: Set<Socket>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  for (const one of inner) one.close()
  for (const socket of sockets) socket.destroy()
  await closed
}
