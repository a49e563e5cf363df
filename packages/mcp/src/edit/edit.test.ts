import fc from 'fast-check'
import { expect, test } from 'vitest'
import { applyPatch } from './patch.ts'
import { replaceAll } from './replace.ts'

const lines = (count: number): string => Array.from({ length: count }, (_, index) => `line ${index + 1}\n`).join('')

test('edits are done in order, and all of them or none', () => {
  expect(
    replaceAll('a b', [
      { old: 'a', new: 'x' },
      { old: 'x b', new: 'y' },
    ]).text,
  ).toBe('y')
  expect(replaceAll('a a a', [{ old: 'a', new: '$&b', all: true }]).text).toBe('$&b $&b $&b')
  expect(() =>
    replaceAll('a b', [
      { old: 'a', new: 'x' },
      { old: 'c', new: 'y' },
    ]),
  ).toThrow('of edit 2 is not in the file')
})

test('lines of Windows stay such', () => {
  expect(replaceAll('a\r\nb\r\n', [{ old: 'a\nb', new: 'c\nd' }]).text).toBe('c\r\nd\r\n')
  expect(applyPatch('a\r\nb\r\n', '@@ -1,2 +1,2 @@\n a\n-b\n+c\n').text).toBe('a\r\nc\r\n')
})

test('a hunk goes to where its lines are, with wrong numbers and counts, and several move together', () => {
  const text = lines(30)
  const patch =
    '--- a/f\n+++ b/f\n@@ -7,1 +9,99 @@\n line 4\n-line 5\n+five\n+and more\n@@ -19,3 +20,3 @@\n line 20\n-line 21\n line 22\n'
  const { text: result, lines: at } = applyPatch(text, patch)
  expect(result).toBe(text.replace('line 5\n', 'five\nand more\n').replace('line 21\n', ''))
  expect(at).toEqual([4, 21])
})

test('of several places that fit, that at the line which is named', () => {
  const text = 'x\ny\nx\ny\nx\ny\n'
  expect(applyPatch(text, '@@ -3 +3 @@\n-x\n+z\n').text).toBe('x\ny\nz\ny\nx\ny\n')
  expect(() => applyPatch(text, '@@\n-x\n+z\n')).toThrow('fits in 3 places, at the lines 1, 3, 5')
  expect(() => applyPatch(text, 'x')).toThrow('no part that begins with @@')
  expect(() =>
    applyPatch(text, '--- a\n+++ b\n@@ -1 +1 @@\n-x\n+z\ndiff --git c d\n--- c\n+++ d\n@@ -1 +1 @@\n-x\n+z\n'),
  ).toThrow('of 2 files')
})

test('lines that look like the head of a file are lines', () => {
  expect(applyPatch('-- old\nx\n', '@@ -1,2 +1,2 @@\n--- old\n+++ new\n x\n').text).toBe('++ new\nx\n')
})

test('what diff(1) would write for a change of any line does that change', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', 'b', 'c', ''), { minLength: 1, maxLength: 12 }),
      fc.nat(),
      (words, seed) => {
        const at = seed % words.length
        const changed = (words as string[]).with(at, 'new')
        const body = words.map((word, index) => (index === at ? `-${word}\n+new` : ` ${word}`)).join('\n')
        const patch = `@@ -1,${words.length} +1,${words.length} @@\n${body}\n`
        expect(applyPatch(`${words.join('\n')}\n`, patch).text).toBe(`${changed.join('\n')}\n`)
      },
    ),
  )
})
