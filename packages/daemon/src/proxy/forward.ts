import { ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type Duplex, pipeline } from 'node:stream'
import { GibilError } from '@gibil/contract'
import { responseHeaders, trailersOf, upgradedHead } from './headers.ts'

/** A request on its way to a port of a box. */
export interface Passage {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  /** What the program in the box is asked for, without what was for us. */
  readonly path: string
  readonly headers: string[]
  /** The connection to the port, used for this request alone. */
  readonly tunnel: Duplex
  /** Set when the client asks to leave HTTP: its connection, and what it has sent beyond the request. */
  readonly upgrade: { readonly socket: Socket; readonly head: Buffer } | undefined
}

/** The head of an answer, at most so long. */
const maxHeadBytes = 32 * 1024
/** 1xx answers that are passed on; a program that sends more of them is not listened to. */
const mostInformation = 16
/** A side that has ended may have gone, which nothing else tells: it must not keep a box awake for ever. */
const halfOpenMs = 60_000
/** A WebSocket ends by a frame of its own, so that the end of one side is the end of it (RFC 6455 section 7.1.1). */
const webSocketGraceMs = 1_000
/** Sends a head by itself. `flushHeaders` would do so too, but in UTF-8: headers are bytes. */
const nothing = Buffer.alloc(0)

/**
 * Passes a request on and its answer back, as they come and only as fast as the other side takes them. Whoever breaks off, the
 * other side sees it. Rejects with `port_failed` as long as the client has been told nothing; resolves when all is over.
 */
export function forward({ incoming, outgoing, path, headers, tunnel, upgrade }: Passage): Promise<void> {
  return new Promise((resolve, reject) => {
    const inner = new ClientRequest({
      method: incoming.method,
      path,
      headers,
      maxHeaderSize: maxHeadBytes,
      createConnection: () => tunnel,
    })
    // The bytes of the head bound their number; a limit of Node's would leave some out in silence.
    inner.maxHeadersCount = 0
    let answered = false
    let upgraded = false

    const fail = (error: GibilError): void => {
      answered = true
      inner.destroy()
      tunnel.destroy()
      if (outgoing.headersSent) outgoing.destroy()
      reject(error)
    }
    // A client that breaks off ends what is done for it in the box.
    outgoing.once('close', () => {
      if (!outgoing.writableFinished) inner.destroy()
      resolve()
    })
    inner.on('error', (error) => {
      // What is told of the request (its body was not taken) matters no more once there is an answer.
      if (!answered) fail(broken(error))
    })
    inner.once('close', () => {
      if (upgraded) return
      tunnel.destroy()
      incoming.unpipe(inner)
      incoming.resume()
    })
    passInformation(inner, outgoing)

    inner.once('response', (answer) => {
      answered = true
      try {
        begin(answer, incoming, outgoing)
      } catch (cause) {
        fail(new GibilError('port_failed', 'The answer of the program has a head that cannot be passed on.', { cause }))
        return
      }
      answer.once('error', () => outgoing.destroy())
      answer.once('close', () => {
        if (!answer.complete) outgoing.destroy()
      })
      answer.once('end', () => {
        // One that was cut off must not look whole.
        if (!answer.complete) outgoing.destroy()
        else {
          addTrailers(outgoing, answer)
          outgoing.end()
        }
      })
      answer.pipe(outgoing, { end: false })
    })

    inner.once('upgrade', (answer, inside, head) => {
      if (!upgrade) {
        fail(new GibilError('port_failed', 'The program changed to a protocol that nobody asked for.'))
        return
      }
      answered = true
      upgraded = true
      const { socket } = upgrade
      if (outgoing.socket) outgoing.detachSocket(outgoing.socket)
      socket.write(upgradedHead(answer))
      if (head.length > 0) inside.unshift(head)
      if (upgrade.head.length > 0) inside.write(upgrade.head)
      joinBytes(
        socket,
        inside,
        incoming.headers.upgrade?.toLowerCase() === 'websocket' ? webSocketGraceMs : halfOpenMs,
        resolve,
      )
    })

    if (upgrade) inner.end()
    else sendBody(incoming, inner)
  })
}

/** Both ways until both have ended; when one has, the other may be silent for so long. */
function joinBytes(socket: Socket, inside: Duplex, silentMs: number, done: () => void): void {
  let open = 2
  const over = (error: unknown): void => {
    open -= 1
    if (open === 0) done()
    else if (error) {
      socket.destroy()
      inside.destroy()
    } else socket.setTimeout(silentMs, () => socket.destroy())
  }
  pipeline(socket, inside, over)
  pipeline(inside, socket, over)
}

/** Also answers `Expect: 100-continue`: the client sends nothing before it was told to, and is told to when the program says so. */
function sendBody(incoming: IncomingMessage, inner: ClientRequest): void {
  inner.write(nothing)
  incoming.once('end', () => {
    const trailers = trailersOf(incoming)
    if (trailers.length > 0 && incoming.headers['transfer-encoding'] !== undefined) inner.addTrailers(trailers)
    inner.end()
  })
  incoming.pipe(inner, { end: false })
}

function passInformation(inner: ClientRequest, outgoing: ServerResponse): void {
  let told = 0
  inner.on('continue', () => {
    if (!outgoing.headersSent) outgoing.writeContinue()
  })
  inner.on('information', ({ statusCode, headers }) => {
    told += 1
    if (told > mostInformation || outgoing.headersSent) return
    if (statusCode === 102) outgoing.writeProcessing()
    const { link } = headers
    if (statusCode === 103 && link !== undefined) outgoing.writeEarlyHints({ link })
  })
}

function begin(answer: IncomingMessage, incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { statusCode = 502, statusMessage = '' } = answer
  const bodiless = incoming.method === 'HEAD' || statusCode === 204 || statusCode === 304
  const chunked =
    !bodiless &&
    incoming.httpVersion === '1.1' &&
    (answer.headers['transfer-encoding'] !== undefined || answer.headers['content-length'] === undefined)
  // A body that was held back until it is asked for, and was not, may come or not: the next request would be guesswork.
  if (incoming.headers.expect !== undefined && !incoming.complete) outgoing.shouldKeepAlive = false
  outgoing.sendDate = false
  outgoing.writeHead(statusCode, statusMessage, responseHeaders(answer, chunked))
  // Now, and not with the first byte of the body, which may come much later.
  if (!bodiless) outgoing.write(nothing)
}

function addTrailers(outgoing: ServerResponse, answer: IncomingMessage): void {
  const trailers = trailersOf(answer)
  try {
    if (trailers.length > 0) outgoing.addTrailers(trailers)
  } catch {
    // One that Node would not write: the answer is whole without it.
  }
}

function broken(error: NodeJS.ErrnoException): GibilError {
  const code = error.code ?? ''
  const what =
    code === 'HPE_HEADER_OVERFLOW'
      ? `The program in the box sent a head of more than ${maxHeadBytes / 1024} KiB.`
      : code.startsWith('HPE_')
        ? 'What the program in the box answered is not HTTP.'
        : 'The program in the box broke the connection off before it had answered.'
  return new GibilError('port_failed', what, { cause: error })
}
