import { describe, expect, it } from 'vitest'
import { expand, expandText, pairs, splitWords } from './words.ts'

const variables: Readonly<Record<string, string>> = { A: '1', EMPTY: '', B_2: 'two words' }
const lookup = (name: string) => variables[name]
const dollar = (text: string) => text.replaceAll('@', '$')

describe('words', () => {
  it.each([
    ['a b  c', ['a', 'b', 'c']],
    ['a "b c" d', ['a', '"b c"', 'd']],
    ['a\\ b c', ['a\\ b', 'c']],
    [`x='y z'"w" v`, [`x='y z'"w"`, 'v']],
    ['', []],
  ])('splits %j', (text, words) => {
    expect(splitWords(text, '\\')).toEqual(words)
  })

  it.each([
    ['@A', '1'],
    ['x@{A}y', 'x1y'],
    ['@A@B_2', '1two words'],
    ['@NONE', ''],
    ['@{NONE:-other}', 'other'],
    ['@{EMPTY:-other}', 'other'],
    ['@{EMPTY-other}', ''],
    ['@{A:+set}', 'set'],
    ['@{NONE:+set}', ''],
    ['@{NONE:-@{A}}', '1'],
    ['"@A b"', '1 b'],
    ["'@A'", '@A'],
    ['\\@A', '@A'],
    ['"\\@A \\x \\""', '@A \\x "'],
    ['a\\ b', 'a b'],
    ['@', '@'],
    ['5@ x', '5@ x'],
  ])('expands %s', (text, result) => {
    expect(expand(dollar(text), lookup, '\\')).toBe(dollar(result))
  })

  it.each(['@{', '@{}', '@{A', '@{A##x}', '@{NONE:?must be set}'])('refuses %s', (text) => {
    expect(() => expand(dollar(text), lookup, '\\')).toThrow()
  })

  it('reads pairs in both forms', () => {
    expect(pairs(dollar('A=@A B="x y" C=z\\ w'), lookup, '\\')).toEqual([
      ['A', '1'],
      ['B', 'x y'],
      ['C', 'z w'],
    ])
    expect(pairs(dollar('OLD the @A rest'), lookup, '\\')).toEqual([['OLD', 'the 1 rest']])
    expect(() => pairs('ALONE', lookup, '\\')).toThrow('ALONE has no value')
    expect(() => pairs('A=1 b', lookup, '\\')).toThrow('b is not KEY=value')
  })

  it('leaves quotes of a here-document alone', () => {
    expect(expandText(dollar(`"@A" '@{A}' \\@A \\n`), lookup)).toBe(dollar(`"1" '1' @A \\n`))
  })
})
