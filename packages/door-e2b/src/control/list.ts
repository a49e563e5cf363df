import { GibilError } from '@gibil/contract'
import * as z from 'zod'
import { type Sandbox, type SandboxState, stateOf } from '../view.ts'

const state = z.enum(['running', 'paused'])

export const ListQuery = z.strictObject({
  metadata: z.string().optional(),
  state: z.string().optional(),
  startedAfter: z.iso.datetime({ offset: true }).optional(),
  template: z.string().optional(),
  order: z.enum(['asc', 'desc']).optional(),
  limit: z.coerce.number().int().min(1).max(100).optional(),
  nextToken: z.string().optional(),
})
export type ListQuery = z.infer<typeof ListQuery>

/** One page, and where the next begins. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly next: string | undefined
}

/** Of those that are there, the ones asked for: newest first, unless said otherwise. Throws `invalid_request`. */
export function select(sandboxes: readonly Sandbox[], query: ListQuery): Page<Sandbox> {
  const states = statesOf(query.state)
  const wanted = metadataOf(query.metadata)
  const after = query.startedAfter === undefined ? undefined : Date.parse(query.startedAfter)
  const direction = query.order === 'asc' ? 1 : -1
  const found = sandboxes
    .filter((sandbox) => {
      const now = stateOf(sandbox.box)
      return now !== undefined && states.has(now)
    })
    .filter(({ terms }) => wanted.every(([name, value]) => terms.metadata[name] === value))
    .filter(({ box }) => after === undefined || Date.parse(box.createdAt) >= after)
    .filter(({ terms }) => query.template === undefined || terms.template === query.template)
    .map((sandbox) => ({ sandbox, key: `${sandbox.box.createdAt} ${sandbox.box.id}` }))
    .sort((a, b) => direction * (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  const page = pageOf(found, query, ({ key }) => key, direction)
  return { items: page.items.map(({ sandbox }) => sandbox), next: page.next }
}

/** Cuts a page out of what is sorted. A cursor is the last key of the page before, so that what came or went since does no harm. */
export function pageOf<T>(
  sorted: readonly T[],
  { limit = 100, nextToken }: Pick<ListQuery, 'limit' | 'nextToken'>,
  keyOf: (item: T) => string,
  direction: 1 | -1 = 1,
): Page<T> {
  const last = nextToken === undefined || nextToken === '' ? undefined : Buffer.from(nextToken, 'base64url').toString()
  const rest =
    last === undefined
      ? sorted
      : sorted.filter((item) => (keyOf(item) > last ? 1 : -1) === direction && keyOf(item) !== last)
  const items = rest.slice(0, limit)
  const end = items.at(-1)
  const next =
    rest.length > items.length && end !== undefined ? Buffer.from(keyOf(end)).toString('base64url') : undefined
  return { items, next }
}

function statesOf(text: string | undefined): ReadonlySet<SandboxState> {
  if (text === undefined || text === '') return new Set(state.options)
  const states = z.array(state).safeParse(text.split(','))
  if (!states.success)
    throw new GibilError('invalid_request', `state: "${text.slice(0, 80)}" is neither running nor paused.`)
  return new Set(states.data)
}

/** The query of a query: each name and value in it is encoded once more. */
function metadataOf(text: string | undefined): [name: string, value: string][] {
  try {
    return [...new URLSearchParams(text ?? '')].map(([name, value]) => [
      decodeURIComponent(name),
      decodeURIComponent(value),
    ])
  } catch (cause) {
    throw new GibilError('invalid_request', 'metadata: not encoded as it should be.', { cause })
  }
}
