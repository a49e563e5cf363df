import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createOutputBudgets } from './output-budget.ts'
import { collectOutput } from './output-collector.ts'

const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, n) => 97 + (n % 26)))

test('the beginning of output is kept, in whatever pieces it comes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 9000 }), { maxLength: 12 }),
      fc.integer({ min: 1, max: 40_000 }),
      (lengths, most) => {
        const all = bytes(lengths.reduce((sum, length) => sum + length, 0))
        const output = collectOutput(most, (wanted) => wanted)
        let at = 0
        for (const length of lengths) {
          output.add(all.subarray(at, at + length))
          at += length
        }
        expect(output.text()).toBe(all.toString('utf8', 0, most))
        expect(output.cut()).toBe(all.length > most)
      },
    ),
  )
})

test('a million single bytes cost little more than a million bytes', () => {
  const output = collectOutput(1 << 21, (wanted) => wanted)
  // As a connection gives them: each a view of its own.
  const all = Buffer.alloc(1_000_000, 'x')
  const before = process.memoryUsage()
  for (let count = 0; count < 1_000_000; count += 1) output.add(all.subarray(count, count + 1))
  const after = process.memoryUsage()
  const grown = after.external + after.heapUsed - before.external - before.heapUsed
  expect(grown).toBeLessThan(64 * 1024 * 1024)
  expect(output.text()).toHaveLength(1_000_000)
})

test('the calls of one owner share a budget, and what is beyond it is cut', () => {
  const budgetOf = createOutputBudgets(() => 100)
  const first = budgetOf('a').hold()
  const out = collectOutput(1000, first.take)
  out.add(bytes(70))
  const second = budgetOf('a').hold()
  const err = collectOutput(1000, second.take)
  err.add(bytes(70))
  expect([out.cut(), err.cut(), err.text().length]).toEqual([false, true, 30])
  expect(budgetOf(null).hold().take(100)).toBe(100)
  first.release()
  first.release()
  expect(budgetOf('a').hold().take(100)).toBe(70)
})
