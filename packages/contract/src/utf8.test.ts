import fc from 'fast-check'
import { expect, test } from 'vitest'
import { completeLength } from './utf8.ts'

test('text cut anywhere is whole up to there, and nothing whole is left out', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.nat(), (text, at) => {
      const bytes = Buffer.from(text).subarray(0, at % (Buffer.byteLength(text) + 1))
      const complete = bytes.subarray(0, completeLength(bytes))
      expect(Buffer.from(complete.toString()).equals(complete)).toBe(true)
      expect(bytes.length - complete.length).toBeLessThan(4)
      expect(Buffer.from(text).toString().startsWith(complete.toString())).toBe(true)
    }),
  )
})

test.each([
  ['', 0],
  ['abc', 3],
  ['aé', 3],
])('%j is whole', (text, length) => {
  expect(completeLength(Buffer.from(text))).toBe(length)
})

test('bytes that are no text are passed on', () => {
  expect(completeLength(Buffer.from([0x80, 0x80, 0x80, 0x80]))).toBe(4)
  expect(completeLength(Buffer.from([0x41, 0xe2, 0x82]))).toBe(1)
  expect(completeLength(Buffer.from([0xf0]))).toBe(0)
})
