import { randomBytes } from 'node:crypto'
import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { type Context, Hono } from 'hono'
import { ApiError, errorBody } from '../errors.ts'
import type { Token, World } from '../world.ts'
import type { Answer, Call, Route } from './route.ts'

export type Env = { Bindings: HttpBindings }
type Handler = (context: Context<Env>, token: Token, secret: string) => Promise<Answer> | Answer

/** A request that was answered, or was not. */
export interface Seen {
  readonly method: string
  /** With the query. */
  readonly path: string
  /** 0: the connection was broken. */
  readonly status: number
}

export interface AppDeps {
  readonly world: World
  readonly routes: readonly Route[]
  readonly seen: (request: Seen) => void
}

const base = '/v1'
const mostBody = 1024 * 1024

/** The API below /v1. Routes that it lacks are 404 for everyone; all others want a token first. */
export function createApp({ world, routes, seen }: AppDeps): Hono<Env> {
  const app = new Hono<Env>()
  for (const { method, path, handle } of routes) {
    app.on(method, base + path, (context) => guarded(context, async (_, token) => handle(await callOf(context, token))))
  }
  for (const path of new Set(routes.map((route) => route.path))) {
    app.all(base + path, (context) =>
      guarded(context, () => {
        throw new ApiError(405, 'method_not_allowed', 'method not allowed')
      }),
    )
  }
  app.notFound((context) => {
    const error = { code: 'not_found', message: 'api route not found', details: null }
    return context.json(errorBody(error), 404, { 'x-correlation-id': randomBytes(8).toString('hex') })
  })

  async function guarded(context: Context<Env>, handle: Handler): Promise<Response> {
    const { method, url } = context.req
    const { pathname, search } = new URL(url)
    const path = pathname.slice(base.length)
    const answer = await answerTo(context, method, path, handle)
    seen({ method, path: path + search, status: answer?.status ?? 0 })
    if (answer === undefined) {
      context.env.incoming.socket.destroy()
      return RESPONSE_ALREADY_SENT
    }
    const headers = { 'x-correlation-id': randomBytes(8).toString('hex'), ...answer.headers }
    if (answer.body === undefined) return new Response(null, { status: answer.status, headers })
    const text = JSON.stringify(answer.body)
    return new Response(text, {
      status: answer.status,
      headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    })
  }

  /** Undefined when the connection is to be broken instead. */
  async function answerTo(
    context: Context<Env>,
    method: string,
    path: string,
    handle: Handler,
  ): Promise<Answer | undefined> {
    if (world.faults.isLost('lost_request', method, path)) return undefined
    let limits = {}
    const answer = await refusing(async () => {
      const { token, secret } = authenticate(context)
      const isLeft = token.bucket.take()
      limits = limitHeaders(token)
      if (!isLeft) throw new ApiError(429, 'rate_limit_exceeded', 'rate limit exceeded')
      const refusal = world.faults.refusal(method, path)
      if (refusal?.code === null) return page(refusal.status)
      if (refusal) throw new ApiError(refusal.status, refusal.code ?? '', refusal.message ?? `${refusal.code}`)
      authorize(token, secret, method)
      return handle(context, token, secret)
    })
    if (world.faults.isLost('lost_answer', method, path)) return undefined
    return { ...answer, headers: { ...limits, ...answer.headers } }
  }

  function authenticate(context: Context<Env>): { token: Token; secret: string } {
    const secret = /^Bearer +(\S+)$/i.exec(context.req.header('authorization') ?? '')?.[1]
    if (secret === undefined) throw new ApiError(401, 'unauthorized', 'token is required')
    const token = world.tokens.get(secret)
    if (!token || world.faults.access(secret) === 'revoked') {
      throw new ApiError(401, 'unauthorized', 'the token you have provided is invalid')
    }
    return { token, secret }
  }

  function authorize(token: Token, secret: string, method: string): void {
    if (method === 'GET' || method === 'HEAD') return
    if (token.access === 'read' || world.faults.access(secret) === 'read') {
      throw new ApiError(401, 'token_readonly', 'token is only allowed to perform GET requests')
    }
  }

  async function callOf(context: Context<Env>, { project }: Token): Promise<Call> {
    const url = new URL(context.req.url)
    const params = context.req.param() as Record<string, string>
    return { world, project, params, query: url.searchParams, url, body: await bodyOf(context) }
  }

  return app
}

/** A page of a gateway before the API: no JSON, as clients meet it with 502 and 504. */
const page = (status: number): Answer => ({ status, headers: { 'content-type': 'text/html' } })

async function refusing(handle: () => Promise<Answer>): Promise<Answer> {
  try {
    return await handle()
  } catch (error) {
    if (error instanceof ApiError) return { status: error.status, body: errorBody(error) }
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { status: 500, body: errorBody({ code: 'server_error', message, details: null }) }
  }
}

const limitHeaders = ({ bucket }: Token): Record<string, string> => ({
  'RateLimit-Limit': String(bucket.limit),
  'RateLimit-Remaining': String(bucket.remaining()),
  'RateLimit-Reset': String(bucket.reset()),
})

async function bodyOf(context: Context<Env>): Promise<unknown> {
  if (context.req.method === 'GET') return undefined
  const text = await context.req.text()
  if (text.length > mostBody) throw new ApiError(413, 'invalid_input', 'the body is too large')
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    throw new ApiError(400, 'json_error', 'the body is no JSON')
  }
}
