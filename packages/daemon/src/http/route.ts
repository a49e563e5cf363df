import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ErrorCode, Progress } from '@gibil/contract'
import * as z from 'zod'
import type { Api } from '../api.ts'
import { readJson } from './body.ts'
import { checked } from './validate.ts'

type ParamName<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParamName<Rest>
  : never

/** What a handler gets of one request. */
interface Call<Path extends string, Query, Body> {
  readonly param: (name: ParamName<Path>) => string
  readonly query: Query
  readonly body: Body
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Aborts with `cancelled` when the client goes away before its answer is finished. */
  readonly signal: AbortSignal
  /** Tells a client that asked for server-sent events how far a long call has come. */
  readonly onProgress: (progress: Progress) => void
}

/** What a call answers when all goes well. */
export type Answer<Result> =
  | { readonly kind: 'json'; readonly status: 200 | 201 | 202; readonly schema: z.ZodType<Result> }
  | { readonly kind: 'empty' }
  /** The handler writes the response itself. */
  | { readonly kind: 'stream'; readonly contentType: string; readonly describe: string }
  | { readonly kind: 'websocket'; readonly describe: string }

export const json = <Result>(schema: z.ZodType<Result>, status: 200 | 201 | 202 = 200): Answer<Result> => ({
  kind: 'json',
  status,
  schema,
})
export const empty: Answer<void> = { kind: 'empty' }
export const stream = (contentType: string, describe: string): Answer<void> => ({
  kind: 'stream',
  contentType,
  describe,
})
export const websocket = (describe: string): Answer<void> => ({ kind: 'websocket', describe })

/** What a handler returns that has written the response itself. */
export const written = Symbol('written')

type Tag =
  | 'boxes'
  | 'sessions'
  | 'snapshots'
  | 'volumes'
  | 'commands'
  | 'files'
  | 'ports'
  | 'images'
  | 'tokens'
  | 'daemon'
type Method = 'get' | 'post' | 'put' | 'delete'

/** What every route says of itself; routing, the OpenAPI document and the readable page come from it. */
interface RouteFacts {
  readonly method: Method
  /** The name of the operation for programs, such as `createBox`. */
  readonly id: string
  readonly tag: Tag
  readonly summary: string
  readonly description?: string
  /** Bodies that the handler reads itself: a stream of any length, or JSON where a call takes both. */
  readonly bodies?: { readonly upload?: string; readonly json?: z.ZodType }
  /** With `Accept: text/event-stream` the answer comes as events: `progress`, then `result` or `error`. */
  readonly progress?: boolean
  /** Answered also while the daemon starts. */
  readonly early?: boolean
  /** Holds nothing secret, so that a browser or a probe may read it without the token. */
  readonly open?: boolean
  /** Its answer may take tens of megabytes to make: a caller gets few of them at once, and waits for its turn. */
  readonly large?: boolean
  /** A token may call it too; what does not say so is for the administrator alone. */
  readonly tokens?: boolean
  /** The errors that this call is about, beside those that any call may meet. */
  readonly errors?: readonly ErrorCode[]
}

interface RouteDefinition<Path extends string, Query, Body, Result> extends RouteFacts {
  readonly path: Path
  readonly query?: z.ZodType<Query>
  readonly body?: z.ZodType<Body>
  readonly answer: Answer<Result>
  readonly handle: (call: Call<Path, Query, Body>, api: Api) => Promise<Result | typeof written>
}

interface RawCall {
  readonly params: Readonly<Record<string, string>>
  readonly search: URLSearchParams
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

/** A route whose types have been used up: what the application and the documents work with. */
export interface Route extends RouteFacts {
  readonly path: string
  readonly query: z.ZodType | undefined
  readonly body: z.ZodType | undefined
  readonly answer: Answer<unknown>
  readonly invoke: (raw: RawCall, api: Api) => Promise<unknown>
}

const nothing = z.strictObject({})

/**
 * Ties a handler to its schemas: query and body are checked before it is called. Unknown query parameters are refused,
 * because a misspelt one would otherwise be ignored in silence.
 */
export function route<const Path extends string, Query = unknown, Body = unknown, Result = unknown>(
  definition: RouteDefinition<Path, Query, Body, Result>,
): Route {
  const { query: querySchema, body: bodySchema, handle, ...facts } = definition
  return {
    ...facts,
    query: querySchema,
    body: bodySchema,
    invoke: async (raw, api) => {
      const query = checked<Query>(querySchema ?? (nothing as z.ZodType<Query>), fields(raw.search), 'query')
      const body = bodySchema
        ? checked(bodySchema, await readJson(raw.request, raw.response), 'body')
        : (undefined as Body)
      const { request, response, signal, onProgress } = raw
      return handle(
        { param: (name) => raw.params[name] ?? '', query, body, request, response, signal, onProgress },
        api,
      )
    },
  }
}

/** Query parameters as an object; one that is given several times becomes a list. */
function fields(search: URLSearchParams): Record<string, string | string[]> {
  const result: Record<string, string | string[]> = {}
  for (const key of new Set(search.keys())) {
    const [first = '', ...rest] = search.getAll(key)
    result[key] = rest.length === 0 ? first : [first, ...rest]
  }
  return result
}
