import { expect, test } from 'vitest'
import { lastLines } from './last-lines.ts'

test.each([
  ['plain', 'one\r\ntwo\r\n', 'one\ntwo'],
  ['colours and a title', '\u001b]0;title\u0007\u001b[31mred\u001b[0m text\r\n', 'red text'],
  ['a line that is written over', '10 %\r50 %\r100 %\r\ndone', '100 %\ndone'],
  ['a question without an end of line', 'Overwrite? [y/N] ', 'Overwrite? [y/N]'],
  ['empty lines', 'a\n\n\n\nb\n', 'a\nb'],
  ['a sequence that never ends', 'x\u001b]0;long', 'x'],
  ['bells and backspaces', 'a\u0007b\u0008c', 'abc'],
])('%s', (_, text, expected) => {
  expect(lastLines(Buffer.from(text))).toBe(expected)
})

test('keeps ten lines and 4 KiB', () => {
  expect(lastLines(Buffer.from(Array.from({ length: 50 }, (_, n) => `line ${n}`).join('\n'))).split('\n')).toEqual(
    Array.from({ length: 10 }, (_, n) => `line ${n + 40}`),
  )
  expect(lastLines(Buffer.from('x'.repeat(100_000)))).toHaveLength(4096)
})
