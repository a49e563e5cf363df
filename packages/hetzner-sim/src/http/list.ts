import { invalid } from '../errors.ts'
import { parseSelector } from '../labels.ts'
import { type Answer, type Call, ok } from './route.ts'

const mostPerPage = 50
const usualPerPage = 25

type Value = string | number | boolean | null | undefined
interface Listed {
  readonly id: number
}

export interface Listing<T> {
  /** The field that holds them in the answer. */
  readonly field: string
  readonly records: Iterable<T>
  readonly view: (record: T) => object
  /** Parameters that choose, and the value of a record that one of theirs must equal. */
  readonly filters?: Readonly<Record<string, (record: T) => Value>>
  /** Fields to sort by, next to `id`. */
  readonly sorts?: Readonly<Record<string, (record: T) => string | number>>
}

/** A page of what the query chooses: `label_selector`, filters, `sort`, `page` and `per_page`. */
export function list<T extends Listed>(call: Call, listing: Listing<T>): Answer {
  const { query } = call
  const chosen = sorted([...listing.records].filter(chooser(query, listing)), query, listing)
  const perPage = Math.min(numberOf(query, 'per_page', usualPerPage), mostPerPage)
  const page = numberOf(query, 'page', 1)
  const last = Math.max(1, Math.ceil(chosen.length / perPage))
  const shown = chosen.slice((page - 1) * perPage, page * perPage)
  const pagination = {
    page,
    per_page: perPage,
    previous_page: page > 1 ? page - 1 : null,
    next_page: page < last ? page + 1 : null,
    last_page: last,
    total_entries: chosen.length,
  }
  const answer = ok({ [listing.field]: shown.map(listing.view), meta: { pagination } })
  return { ...answer, headers: { link: links(call.url, pagination) } }
}

function chooser<T>(query: URLSearchParams, listing: Listing<T>): (record: T) => boolean {
  const tests: ((record: T) => boolean)[] = []
  const selector = query.get('label_selector')
  if (selector) {
    const holds = parseSelector(selector)
    tests.push((record) => holds((record as { labels?: Record<string, string> }).labels ?? {}))
  }
  for (const [name, read] of Object.entries(listing.filters ?? {})) {
    const wanted = query.getAll(name).filter((value) => value !== '')
    if (wanted.length > 0) tests.push((record) => wanted.includes(String(read(record))))
  }
  return (record) => tests.every((test) => test(record))
}

function sorted<T extends Listed>(records: T[], query: URLSearchParams, listing: Listing<T>): T[] {
  const sorts: Record<string, (record: T) => string | number> = { id: ({ id }) => id, ...listing.sorts }
  const keys = query.getAll('sort').map((text) => {
    const [, name = '', direction = 'asc'] = /^(\w+)(?::(asc|desc))?$/.exec(text) ?? []
    const read = Object.hasOwn(sorts, name) ? sorts[name] : undefined
    if (!read) throw invalid('sort', `cannot sort by '${text}'`)
    return { read, sign: direction === 'asc' ? 1 : -1 }
  })
  return records.sort((a, b) => {
    for (const { read, sign } of keys) {
      const [left, right] = [read(a), read(b)]
      if (left !== right) return left < right ? -sign : sign
    }
    return a.id - b.id
  })
}

function numberOf(query: URLSearchParams, name: string, usual: number): number {
  const text = query.get(name)
  if (text === null) return usual
  if (!/^[1-9]\d{0,8}$/.test(text)) throw invalid(name, 'must be a positive number')
  return Number(text)
}

function links(url: URL, pages: { previous_page: number | null; next_page: number | null; last_page: number }): string {
  const link = (rel: string, page: number | null): string[] => {
    if (page === null) return []
    const to = new URL(url)
    to.searchParams.set('page', String(page))
    return [`<${to.href}>; rel=${rel}`]
  }
  const all = [link('prev', pages.previous_page), link('next', pages.next_page), link('last', pages.last_page)]
  return all.flat().join(', ')
}
