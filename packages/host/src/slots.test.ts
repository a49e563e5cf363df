import { expect, it } from 'vitest'
import { createSlots, slotCount, uidBaseOf, uidBlocks } from './slots.ts'

it('gives the lowest free slot, passes over unusable ones, and says when all are taken', () => {
  const slots = createSlots()
  slots.hold('first', 0)
  expect(slots.take('a', () => true)).toBe(1)
  expect(slots.take('b', (slot) => slot !== 2)).toBe(3)
  slots.free('first')
  expect(slots.take('c', () => true)).toBe(0)
  while (slots.has(slotCount - 1) === false) slots.take('more', () => true)
  expect(() => slots.take('more', () => true)).toThrow(expect.objectContaining({ code: 'limit_reached' }))
})

it('gives every slot of every block its own user ids, all valid', () => {
  const bases = new Set<number>()
  for (let block = 0; block < uidBlocks; block += 1) {
    for (let slot = 0; slot < slotCount; slot += 1) bases.add(uidBaseOf(block, slot))
  }
  expect(bases.size).toBe(uidBlocks * slotCount)
  const sorted = [...bases].sort((x, y) => x - y)
  for (const [index, base] of sorted.entries()) {
    if (index > 0) expect(base - (sorted[index - 1] ?? 0)).toBeGreaterThanOrEqual(65_536)
  }
  expect((sorted.at(-1) ?? 0) + 65_536).toBeLessThanOrEqual(2 ** 31)
})
