import { chmodSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { GibilError } from '@gibil/contract'
import { getRequestListener } from '@hono/node-server'
import type { Application } from './application.ts'
import { type ErrorAnswer, errorAnswer } from './errors.ts'

const limits = {
  // A client that sends its headers byte by byte holds a connection no longer than this.
  headersTimeout: 10_000,
  connectionsCheckingInterval: 2_000,
  // Bodies may be gigabytes; each reader of one sets its own deadline.
  requestTimeout: 0,
  // Longer than clients keep idle connections, so that none of them writes to one that is being closed.
  keepAliveTimeout: 75_000,
  maxHeaderSize: 16 * 1024,
} as const
const maxConnections = 4096

/** A server for the application. `trusted`: whoever can connect may do everything. */
export function createHttpServer(app: Application, options: { readonly trusted: boolean }): Server {
  const listener = getRequestListener((request, env) => app.fetch(request, { ...env, trusted: options.trusted }), {
    hostname: 'localhost',
    errorHandler: malformed,
  })
  const server = createServer(limits, listener)
  server.maxConnections = maxConnections
  // Instead of saying "100 Continue" by itself: a body that will be refused need not be sent.
  server.on('checkContinue', listener)
  server.on('clientError', refuse)
  return server
}

/** The path or the Host header cannot be made a URL. */
function malformed(cause: unknown): Response {
  const { status, headers, body } = errorAnswer(
    new GibilError('invalid_request', 'The address of the request cannot be read.', { cause }),
  )
  return new Response(JSON.stringify(body), { status, headers })
}

/** What is not HTTP, or too slow, or too long in its headers, gets an answer without ever becoming a request. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || socket.bytesWritten > 0) {
    socket.destroy()
    return
  }
  const code = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'timeout' : 'invalid_request'
  const answer = errorAnswer(new GibilError(code, `The request cannot be read: ${error.message}.`))
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : answer.status
  socket.end(rawResponse({ ...answer, status }), () => socket.destroy())
}

/** A whole HTTP/1.1 response, for sockets that have no ServerResponse. */
export function rawResponse({ status, headers, body }: ErrorAnswer): string {
  const text = JSON.stringify(body)
  const all = { ...headers, connection: 'close', 'content-length': Buffer.byteLength(text) }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} Refused\r\n${lines.join('')}\r\n${text}`
}

/** Listens on a unix socket that only its owner can open. A socket that a dead daemon left there is replaced. */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  await rm(path, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    // The socket is made within `listen`, so the mask holds from its first moment and touches no other file.
    const mask = process.umask(0o177)
    try {
      server.listen({ path, backlog: 1024 }, () => {
        server.off('error', reject)
        resolve()
      })
    } finally {
      process.umask(mask)
    }
  })
  chmodSync(path, 0o600)
}

/** Listens on 127.0.0.1; port 0 takes a free one. Returns the port. */
export async function listenOnLoopback(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port, backlog: 1024 }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return (server.address() as AddressInfo).port
}

/** Stops accepting, lets running responses end for `graceMs`, then breaks what is left. */
export async function closeServer(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  // A connection that becomes idle only now would else stay until its keep-alive ends.
  const idle = setInterval(() => server.closeIdleConnections(), 20)
  const force = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearInterval(idle)
  clearTimeout(force)
}
