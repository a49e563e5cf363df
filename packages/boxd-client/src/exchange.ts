import type { Readable } from 'node:stream'
import { bodyReader, readWhole } from './body.ts'
import { type Connection, openConnection } from './connection.ts'
import { refusal, violation } from './failures.ts'
import { bodyLength, type Head, readHead } from './head.ts'
import type { Dial } from './types.ts'
import { sendBody } from './upload.ts'

/** What all calls of a client have in common. */
export interface Context {
  readonly dial: Dial
  readonly signal: AbortSignal | undefined
  readonly answerMs: number
}

type QueryValue = string | number | boolean | readonly string[] | undefined

export interface Request {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, QueryValue>>
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent in chunks as it comes. */
  readonly body?: Readable
  readonly upgrade?: 'gibil-frames/1' | 'gibil-tcp/1' | 'gibil-listen/1' | 'gibil-still/1'
  readonly range?: string | undefined
  /** How much longer than usual the answer may take, in ms. */
  readonly patienceMs?: number | undefined
}

export interface Exchange {
  readonly connection: Connection
  readonly head: Head
}

const maxErrorBytes = 64 * 1024

/** Sends a request on a stream of its own and reads the head of the answer. An answer that is an error is thrown. */
export async function exchange(context: Context, request: Request): Promise<Exchange> {
  const connection = await openConnection(context.dial, context.signal)
  try {
    const answerMs = context.answerMs + (request.patienceMs ?? 0)
    const head = await (request.body
      ? sendBody(connection, Buffer.from(requestHead(request, undefined)), request.body, answerMs)
      : sendWhole(connection, request, answerMs))
    if (head.status >= 400) throw await readRefusal(connection, head, answerMs)
    const expected = request.upgrade ? head.status === 101 : head.status >= 200 && head.status < 300
    if (!expected) throw violation(`the status ${head.status}, which is no answer to this call`)
    if (request.upgrade && head.headers.get('upgrade')?.toLowerCase() !== request.upgrade) {
      throw violation('an upgrade to another protocol')
    }
    return { connection, head }
  } catch (error) {
    connection.close()
    throw error
  }
}

async function sendWhole(connection: Connection, request: Request, answerMs: number): Promise<Head> {
  const json = request.json === undefined ? '' : JSON.stringify(request.json)
  const done = connection.deadline(answerMs, 'answer')
  try {
    // One write: boxd then reads head and body at once. A write that fails, fails the read too.
    connection.write(Buffer.from(requestHead(request, Buffer.byteLength(json)) + json)).catch(() => undefined)
    return await readHead(connection)
  } finally {
    done()
  }
}

async function readRefusal(connection: Connection, head: Head, answerMs: number): Promise<Error> {
  const done = connection.deadline(answerMs, 'finish its answer')
  try {
    const bytes = await readWhole(bodyReader(connection, bodyLength(head)), maxErrorBytes)
    return refusal(parseJson(bytes))
  } finally {
    done()
  }
}

export function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw violation('something that is not JSON', cause)
  }
}

/** A length of undefined means chunks. */
function requestHead(request: Request, length: number | undefined): string {
  const lines = [`${request.method} /v1/${request.path}${queryText(request.query)} HTTP/1.1`, 'Host: boxd']
  lines.push(request.upgrade ? `Connection: Upgrade\r\nUpgrade: ${request.upgrade}` : 'Connection: close')
  if (request.range !== undefined) lines.push(`Range: ${rangeText(request.range)}`)
  if (length === undefined) lines.push('Transfer-Encoding: chunked')
  else if (length > 0) lines.push(`Content-Length: ${length}`)
  else if (request.method !== 'GET') lines.push('Content-Length: 0')
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** A range comes from outside; one that could break the head is as good as none. */
const rangeText = (range: string): string => (/^bytes=[\d, -]{1,200}$/.test(range) ? range : 'none')

function queryText(query: Request['query'] = {}): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== false) search.append(name, one === true ? '1' : String(one))
    }
  }
  const text = search.toString()
  return text === '' ? '' : `?${text}`
}
