import type { Agent, AgentOptions, ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { GibilError } from '@gibil/contract'
import type * as z from 'zod'
import { bodyStream } from './body-stream.ts'
import { connectionError } from './failure.ts'
import { type ConnectOptions, type Endpoint, locate } from './locate.ts'
import { connectUnix } from './socket-path.ts'

// An `import` of node:http reads every export of it, and so loads the fetch of Node: 25 ms at each start of the CLI.
const http = process.getBuiltinModule('node:http')

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>
export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

export interface CallOptions {
  readonly query?: Query | undefined
  /** Sent as JSON. */
  readonly body?: unknown
  /** Sent as it is; a stream is sent once and never again. */
  readonly raw?: Uint8Array | Readable | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly signal?: AbortSignal | undefined
}

/** One daemon, reached over one kept-alive pool of connections. */
export interface Transport {
  endpoint(): Promise<Endpoint>
  /** Answers with the response once its headers are there; a status of 400 or more is thrown as its GibilError. */
  open(method: Method, path: string, options?: CallOptions): Promise<IncomingMessage>
  /** The same for an answer of any length: the stream fails with a GibilError when the connection is lost. */
  download(path: string, options?: CallOptions): Promise<Readable>
  /** Reads the whole answer and checks it against a schema. */
  call<T extends z.ZodType>(schema: T, method: Method, path: string, options?: CallOptions): Promise<z.output<T>>
  /** For an answer without a body. */
  send(method: Method, path: string, options?: CallOptions): Promise<void>
  close(): void
}

/** Answers larger than this are not read into memory; a run's output at its largest stays below it. */
const maxAnswerBytes = 256 * 1024 * 1024
const maxErrorBytes = 1024 * 1024

/** The path of an API route below /v1 with its query. */
export function apiPath(endpoint: Endpoint, path: string, query: Query = {}): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue
    for (const item of Array.isArray(value) ? value : [value]) search.append(name, String(item))
  }
  const base = endpoint.kind === 'http' ? endpoint.url.pathname.replace(/\/+$/, '') : ''
  return `${base}/v1${path}${search.size > 0 ? `?${search}` : ''}`
}

export const authorization = (endpoint: Endpoint): Record<string, string> =>
  endpoint.kind === 'http' && endpoint.token ? { authorization: `Bearer ${endpoint.token}` } : {}

const https = () => process.getBuiltinModule('node:https')

export function createTransport(options: ConnectOptions = {}): Transport {
  let located: Promise<Endpoint> | undefined
  let agent: Agent | undefined

  const endpoint = (): Promise<Endpoint> => {
    located ??= locate(options)
    return located
  }

  async function open(method: Method, path: string, call: CallOptions = {}): Promise<IncomingMessage> {
    const target = await endpoint()
    agent ??= createAgent(target)
    const response = await exchange(target, agent, method, path, call).catch((error: unknown) => {
      // A daemon that was started again may have another socket or address.
      located = undefined
      agent = undefined
      throw error instanceof LocalBodyError ? error.cause : connectionError(error, target, call.signal)
    })
    if ((response.statusCode ?? 500) < 400) return response
    const body = await readAll(response, maxErrorBytes, target, call.signal).catch(() => Buffer.alloc(0))
    throw errorOf(response.statusCode ?? 500, body)
  }

  return {
    endpoint,
    open,
    async download(path, call = {}) {
      return bodyStream(await open('GET', path, call), await endpoint(), call.signal)
    },
    async call(schema, method, path, call = {}) {
      const response = await open(method, path, call)
      const body = await readAll(response, maxAnswerBytes, await endpoint(), call.signal)
      return parseAnswer(schema, body, `${method} ${path}`)
    },
    async send(method, path, call = {}) {
      const response = await open(method, path, call)
      await readAll(response, maxAnswerBytes, await endpoint(), call.signal)
    },
    close() {
      agent?.destroy()
      agent = undefined
    },
  }
}

function createAgent(endpoint: Endpoint): Agent {
  const settings = { keepAlive: true, maxFreeSockets: 8 }
  if (endpoint.kind === 'http')
    return endpoint.url.protocol === 'https:' ? new (https().Agent)(settings) : new http.Agent(settings)
  return unixAgent(endpoint.path, settings)
}

/** Whose connections go to a unix socket. */
export function unixAgent(path: string, settings: AgentOptions = {}): Agent {
  const agent = new http.Agent(settings)
  agent.createConnection = () => connectUnix(path)
  return agent
}

/** What failed was the reading of a body on this side, not the connection. */
class LocalBodyError extends Error {}

/** A kept connection that the daemon closed at the very moment of its use: asking again is safe for these. */
const repeatable = (method: Method, error: unknown): boolean =>
  (method === 'GET' || method === 'DELETE') &&
  error instanceof Error &&
  'code' in error &&
  (error.code === 'ECONNRESET' || error.code === 'EPIPE')

async function exchange(
  endpoint: Endpoint,
  agent: Agent,
  method: Method,
  path: string,
  call: CallOptions,
): Promise<IncomingMessage> {
  const payload = call.body === undefined ? call.raw : Buffer.from(JSON.stringify(call.body))
  const headers: Record<string, string | number> = {
    accept: 'application/json',
    ...authorization(endpoint),
    ...call.headers,
  }
  if (call.body !== undefined) headers['content-type'] = 'application/json'
  if (payload instanceof Uint8Array) headers['content-length'] = payload.byteLength
  const options: RequestOptions = {
    agent,
    method,
    path: apiPath(endpoint, path, call.query),
    headers,
    ...(endpoint.kind === 'http' ? { host: endpoint.url.hostname, port: endpoint.url.port } : { host: 'localhost' }),
    ...(call.signal ? { signal: call.signal } : {}),
  }
  const request = endpoint.kind === 'http' && endpoint.url.protocol === 'https:' ? https().request : http.request
  try {
    return await send(request(options), payload)
  } catch (error) {
    if (error instanceof StaleConnection && repeatable(method, error.cause)) return send(request(options), payload)
    throw error instanceof StaleConnection ? error.cause : error
  }
}

class StaleConnection extends Error {}

function send(request: ClientRequest, payload: Uint8Array | Readable | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    let bodyError: Error | undefined
    request.once('response', resolve)
    request.once('error', (cause) => {
      if (bodyError) reject(new LocalBodyError('body', { cause: bodyError }))
      else reject(request.reusedSocket ? new StaleConnection('stale', { cause }) : cause)
    })
    if (payload === undefined || payload instanceof Uint8Array) {
      request.end(payload)
      return
    }
    payload.once('error', (error) => {
      bodyError = error
    })
    // How it ends is told by the response, or by the error of the request.
    pipeline(payload, request).catch(() => undefined)
  })
}

async function readAll(
  response: IncomingMessage,
  limit: number,
  endpoint: Endpoint,
  signal?: AbortSignal,
): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of response) {
      size += chunk.length
      if (size > limit) {
        throw new GibilError('payload_too_large', `The daemon's answer is larger than ${limit} bytes.`, {
          hint: 'Ask for less, or use the streaming form of this call.',
        })
      }
      chunks.push(chunk)
    }
  } catch (error) {
    throw connectionError(error, endpoint, signal)
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)
}

/** Checks a value that came over the wire. Throws `internal`, since both sides are ours. */
export function parseAnswer<T extends z.ZodType>(schema: T, body: Uint8Array | string, call: string): z.output<T> {
  const parsed = schema.safeParse(parseJson(body))
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new GibilError(
    'internal',
    `The daemon's answer to ${call} is not what was expected (${issue?.path.join('.')}: ${issue?.message}).`,
    {
      hint: 'Client and daemon may be of different versions: compare `gibil version`, then restart the daemon.',
      cause: parsed.error,
    },
  )
}

function parseJson(body: Uint8Array | string): unknown {
  try {
    return JSON.parse(
      typeof body === 'string' ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'),
    )
  } catch {
    return undefined
  }
}

/** The error that a refused call carries. */
export function errorOf(status: number, body: Uint8Array | string): GibilError {
  const text = Buffer.from(body).toString('utf8', 0, 300)
  return GibilError.fromBody(
    parseJson(body),
    `The daemon answered with HTTP status ${status}${text ? `: ${text}` : ''}.`,
  )
}
