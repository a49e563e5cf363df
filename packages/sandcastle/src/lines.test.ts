import { expect, test } from 'vitest'
import { createLines } from './lines.ts'
import { createTail } from './tail.ts'

test('lines are the same however the text is cut', () => {
  const text = 'one\n\ntwo\r\nlong line without an end'
  for (let size = 1; size <= text.length; size += 1) {
    const seen: string[] = []
    const lines = createLines((line) => seen.push(line))
    for (let at = 0; at < text.length; at += size) lines.push(text.slice(at, at + size))
    expect(seen).toEqual(['one', '', 'two\r'])
    lines.end()
    expect(seen.at(-1)).toBe('long line without an end')
  }
})

test('a tail keeps the end, of whatever came', () => {
  const tail = createTail(10)
  for (let number = 0; number < 1000; number += 1) tail.push(`${number},`)
  expect(tail.text()).toBe('997,998,999,'.slice(-10))
  const short = createTail(10)
  short.push('abc')
  expect(short.text()).toBe('abc')
})
