import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Sandbox } from '../view.ts'
import { pageOf, select } from './list.ts'

const sandbox = (id: string, second: number, metadata: Record<string, string> = {}, status = 'running'): Sandbox =>
  ({
    box: { id, status, createdAt: new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString() },
    terms: { template: 'base', metadata },
  }) as unknown as Sandbox
const idsOf = (items: readonly Sandbox[]): string[] => items.map(({ box }) => box.id)

test('newest first, of all that are there', () => {
  const all = [sandbox('a', 1), sandbox('b', 3), sandbox('c', 2, {}, 'paused'), sandbox('d', 4, {}, 'destroying')]
  expect(idsOf(select(all, {}).items)).toEqual(['b', 'c', 'a'])
  expect(idsOf(select(all, { order: 'asc' }).items)).toEqual(['a', 'c', 'b'])
  expect(idsOf(select(all, { state: 'paused' }).items)).toEqual(['c'])
  expect(idsOf(select(all, { startedAfter: '2026-01-01T00:00:03Z' }).items)).toEqual(['b'])
  expect(select(all, { template: 'other' }).items).toEqual([])
  expect(() => select(all, { state: 'asleep' })).toThrowError()
})

test('metadata is found however it was encoded', () => {
  const wanted = { 'a key': 'x & y = 100%', b: 'ü' }
  const all = [sandbox('a', 1, wanted), sandbox('b', 2, { b: 'ü' })]
  const inner = Object.fromEntries(
    Object.entries(wanted).map(([name, value]) => [encodeURIComponent(name), encodeURIComponent(value)]),
  )
  const metadata = new URLSearchParams(inner).toString()
  expect(idsOf(select(all, { metadata }).items)).toEqual(['a'])
  expect(() => select(all, { metadata: 'a=%25zz' })).toThrowError()
})

test('pages hold everything once, in both directions', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(1000)),
      fc.integer({ min: 1, max: 10 }),
      fc.constantFrom<1 | -1>(1, -1),
      (seconds, limit, direction) => {
        const sorted = seconds.map((second) => String(second).padStart(4, '0')).sort()
        if (direction === -1) sorted.reverse()
        const found: string[] = []
        let nextToken: string | undefined
        do {
          const page = pageOf(sorted, { limit, nextToken }, (item) => item, direction)
          expect(page.items.length).toBeLessThanOrEqual(limit)
          found.push(...page.items)
          nextToken = page.next
        } while (nextToken !== undefined)
        expect(found).toEqual(sorted)
      },
    ),
  )
})
