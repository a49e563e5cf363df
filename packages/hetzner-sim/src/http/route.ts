import type * as z from 'zod'
import { ApiError, notFound } from '../errors.ts'
import type { Project } from '../model.ts'
import type { World } from '../world.ts'

/** A request that was let in. */
export interface Call {
  readonly world: World
  readonly project: Project
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** The address as it was asked for, for links to other pages. */
  readonly url: URL
  /** What was parsed of the body; undefined when there was none. */
  readonly body: unknown
}

export interface Answer {
  readonly status: number
  /** None with 204. */
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Below /v1, such as `/servers/:id`. */
  readonly path: string
  readonly handle: (call: Call) => Answer
}

export const ok = (body: object): Answer => ({ status: 200, body })
export const created = (body: object): Answer => ({ status: 201, body })
export const noContent: Answer = { status: 204 }

/** The body by its schema; throws 422 with the fields that are wrong. */
export function bodyOf<T extends z.ZodType>(call: Call, schema: T): z.output<T> {
  const parsed = schema.safeParse(call.body ?? {})
  if (parsed.success) return parsed.data
  const fields = new Map<string, string[]>()
  for (const { path, message } of parsed.error.issues) {
    const name = path.join('.') || 'body'
    fields.set(name, [...(fields.get(name) ?? []), message])
  }
  const names = [...fields.keys()].map((name) => `'${name}'`).join(', ')
  throw new ApiError(422, 'invalid_input', `invalid input in field${fields.size > 1 ? 's' : ''} ${names}`, {
    fields: [...fields].map(([name, messages]) => ({ name, messages })),
  })
}

/** The record that the path names; throws 404. */
export function recordOf<T>(call: Call, records: ReadonlyMap<number, T>, what: string): T {
  const id = call.params['id'] ?? ''
  const record = records.get(/^\d+$/.test(id) ? Number(id) : -1)
  if (record === undefined) throw notFound(what, id)
  return record
}
