import { expect, test } from 'vitest'
import { deadlineLabel, deadlineOf, labelValue } from './labels.ts'

test.each([
  ['node:24', 'node_24'],
  ['ghcr.io/me/image@sha256:0f', 'ghcr.io_me_image_sha256_0f'],
  ['-x-', 'x'],
  ['', ''],
  ['a'.repeat(80), 'a'.repeat(63)],
  [`${'a'.repeat(62)}-b`, 'a'.repeat(62)],
])('%j is %j as a label', (text, value) => {
  expect(labelValue(text)).toBe(value)
  expect(value).toMatch(/^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/)
})

test('a deadline that somebody spoiled is none', () => {
  expect(deadlineOf(deadlineLabel(1_800_000_000))).toBe(1_800_000_000)
  expect(deadlineOf(deadlineLabel(null))).toBeNull()
  for (const text of ['', 'soon', '-1', '1e9', '12.5']) expect(deadlineOf({ 'gibil/deadline': text })).toBeNull()
})
