import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { nearestOf } from './nearest.ts'

test.each([
  ['wrok', 'work'],
  ['wor', 'work'],
  ['works', 'work'],
  ['web-frontent', 'web-frontend'],
  ['w', undefined],
  ['other', undefined],
  ['', undefined],
])('%j means %j', (given, meant) => {
  expect(nearestOf(given, ['work', 'web-frontend'])).toBe(meant)
})

test('one letter that is missing, too many, wrong or swapped is forgiven', () => {
  const name = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '-'), minLength: 3, maxLength: 40 })
  void fc.assert(
    fc.property(name, fc.nat(), (text, number) => {
      const at = number % (text.length - 1)
      const without = text.slice(0, at) + text.slice(at + 1)
      const swapped = text.slice(0, at) + (text[at + 1] ?? '') + (text[at] ?? '') + text.slice(at + 2)
      for (const given of [without, swapped, `${text}x`])
        if (given.length > 2) expect(nearestOf(given, [text])).toBe(text)
    }),
  )
})
