import type { IncomingMessage, ServerResponse } from 'node:http'
import { GibilError, type Progress } from '@gibil/contract'
import type { Caller } from '@gibil/core'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { type Context, Hono } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Api } from '../api.ts'
import { administratorOnly, apiOf, callerOf } from './caller.ts'
import { asGibilError, errorAnswer } from './errors.ts'
import { openEventStream, wantsEvents } from './event-stream.ts'
import { checkPlace } from './guard.ts'
import { apiPrefix } from './prefix.ts'
import { type Route, written } from './route.ts'

interface Bindings {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  /** The peer came by the unix socket, which only the owner of the home directory can open. */
  readonly trusted: boolean
}
export type Ctx = Context<{ Bindings: Bindings }>
export type Application = Hono<{ Bindings: Bindings }>

/** The HTTP application over a table of routes. */
export function createApplication(routes: readonly Route[], api: Api): Application {
  const app: Application = new Hono()
  for (const route of routes) {
    const path = `${apiPrefix}${route.path.replaceAll(/\{(\w+)\}/g, ':$1')}`
    app.on(route.method.toUpperCase(), path, (c) => serve(c, route, api))
  }
  app.notFound(async (c) => {
    const call = watch(c, 'unknown', api)
    const { incoming, trusted } = c.env
    // Nobody who may not call is told what there is.
    const refused = await callerOf(incoming.headers, trusted, api).then(() => undefined, asIs)
    return failed(c, refused ?? notFound(c), call.signal, api)
  })
  app.onError((error, c) => failed(c, error, undefined, api))
  return app
}

const asIs = (error: unknown): unknown => error

const notFound = (c: Ctx): GibilError =>
  new GibilError('not_found', `The API has no route ${c.env.incoming.method} ${c.req.path.slice(0, 200)}.`)

async function serve(c: Ctx, route: Route, api: Api): Promise<Response> {
  const { incoming: request, outgoing: response, trusted } = c.env
  const call = watch(c, route.path, api)
  try {
    // hono answers HEAD with the GET handler, which would read whole files for nothing.
    if (request.method === 'HEAD') throw notFound(c)
    if (route.open && !trusted) checkPlace(request.headers)
    const caller = route.open ? null : await admit(c, call, api)
    if (caller && !route.tokens) throw administratorOnly()
    if (!route.early) await api.daemon.ready
    if (route.large) {
      call.atEnd(await api.daemon.openCalls.enterLarge(caller?.name ?? null, call.signal))
    }
    const own = apiOf(caller, api)
    const raw = { params: c.req.param(), search: new URL(c.req.url).searchParams, request, response }
    if (route.progress && wantsEvents(request.headers.accept)) {
      await serveEvents(
        response,
        (onProgress) => route.invoke({ ...raw, signal: call.signal, onProgress }, own),
        call,
        api,
      )
      return RESPONSE_ALREADY_SENT
    }
    const result = await route.invoke({ ...raw, signal: call.signal, onProgress: ignore }, own)
    if (result === written) return RESPONSE_ALREADY_SENT
    if (route.answer.kind === 'json') {
      // What it holds (memory, a turn with a large answer) must come back also from a client that never reads.
      response.setTimeout(unreadMs, () => response.destroy())
      return c.json(result, route.answer.status)
    }
    if (route.answer.kind === 'empty') return c.body(null, 204)
    return RESPONSE_ALREADY_SENT
  } catch (error) {
    return failed(c, error, call.signal, api)
  }
}

/** Who calls, counted among the calls of that token until the end. Throws `forbidden`, `unauthorized`, `busy`. */
export async function admit(c: Ctx, call: Watch, api: Api): Promise<Caller | null> {
  const { incoming, trusted } = c.env
  const caller = await callerOf(incoming.headers, trusted, api)
  if (caller) {
    call.signal.throwIfAborted()
    call.atEnd(api.daemon.openCalls.enter(caller.name))
    call.endWith(caller)
  }
  return caller
}

const ignore = (): void => undefined

const maxWaitingProgress = 1000
/** How long a client may take nothing of an answer that is whole. */
const unreadMs = 60_000

/** A long call as events. The status is 200 whatever comes: failures are an `error` event. */
async function serveEvents(
  response: ServerResponse,
  work: (onProgress: (progress: Progress) => void) => Promise<unknown>,
  call: { readonly signal: AbortSignal },
  api: Api,
): Promise<void> {
  const events = openEventStream(response)
  // Progress is told in order and never awaited by the work. A client that does not read it misses some.
  let told = Promise.resolve()
  let waiting = 0
  const tell = (event: string, data: unknown): Promise<void> => {
    waiting += 1
    told = told.then(async () => {
      await events.send({ event, data })
      waiting -= 1
    })
    return told
  }
  try {
    const result = await work((progress) => {
      if (waiting < maxWaitingProgress) void tell('progress', progress)
    })
    await tell('result', result ?? null)
  } catch (error) {
    const known = asGibilError(error, call.signal)
    report(known, api)
    await tell('error', known.toBody())
  } finally {
    events.end()
  }
}

export function failed(c: Ctx, thrown: unknown, signal: AbortSignal | undefined, api: Api): Response {
  const { outgoing: response } = c.env
  const error = asGibilError(thrown, signal)
  report(error, api)
  if (response.headersSent) {
    // Part of a stream is out: only breaking the connection tells the client that the rest is missing.
    response.destroy(error)
    return RESPONSE_ALREADY_SENT
  }
  const { status, headers, body } = errorAnswer(error)
  return c.body(JSON.stringify(body), status as ContentfulStatusCode, headers)
}

function report(error: GibilError, api: Api): void {
  if (error.code === 'internal' || error.code === 'driver_failed') api.log.error({ err: error }, 'a request failed')
  else api.log.debug({ code: error.code, message: error.message }, 'a request was refused')
}

interface Watch {
  /** Aborts when the client leaves early, and when its token is revoked. */
  readonly signal: AbortSignal
  /** Called when the response has closed, however that came. */
  atEnd(work: () => void): void
  /** Ends the call when the token of its caller is revoked. */
  endWith(caller: Caller): void
}

/** Counts and logs a request when its response has ended, and aborts its work when there is nobody to do it for. */
export function watch(c: Ctx, path: string, api: Api): Watch {
  const { incoming: request, outgoing: response } = c.env
  const begin = performance.now()
  const abort = new AbortController()
  const last: (() => void)[] = []
  response.once('close', () => {
    for (const work of last) work()
    if (!response.writableFinished) {
      abort.abort(new GibilError('cancelled', 'The client went away before its answer was finished.'))
    }
    const seconds = (performance.now() - begin) / 1000
    api.metrics.request(request.method ?? '', path, response.statusCode, seconds)
    api.log.debug(
      { method: request.method, path, status: response.statusCode, ms: Math.round(seconds * 1000) },
      'request',
    )
  })
  return {
    signal: abort.signal,
    atEnd: (work) => void last.push(work),
    endWith(caller) {
      const leave = caller.onRevoked((reason) => {
        abort.abort(reason)
        // What streams is cut; what only waits can still be told why.
        if (response.headersSent || !request.complete) response.destroy()
      })
      last.push(leave)
    },
  }
}
