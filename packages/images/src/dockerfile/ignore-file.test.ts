import { describe, expect, it } from 'vitest'
import { readIgnores } from './ignore-file.ts'

describe('.dockerignore', () => {
  it.each([
    ['node_modules', ['node_modules', 'node_modules/a/b'], ['src/node_modules', 'node_modules2']],
    ['/top', ['top', 'top/x'], ['a/top']],
    ['*.log', ['a.log'], ['a/b.log', 'a.logs']],
    ['**/*.log', ['a.log', 'a/b/c.log'], ['a.txt']],
    ['a/**', ['a/b', 'a/b/c'], ['a', 'b']],
    ['a/*/c', ['a/b/c', 'a/b/c/d'], ['a/c', 'a/b/d/c']],
    ['?.[ch]', ['a.c', 'b.h'], ['ab.c', 'a.x']],
    ['*\n!keep\n!deep/keep', ['a', 'deep', 'deep/a'], ['keep', 'keep/x', 'deep/keep']],
    ['a\n!a/b\na/b/c', ['a/x', 'a/b/c'], ['a/b', 'a/b/d']],
    ['# note\n\n  spaced  \n', ['spaced'], ['# note']],
    ['a.b+c', ['a.b+c'], ['aXb+c', 'a.bbc']],
    ['[z-a]', [], ['a', 'm', 'z', '-']],
    ['[^a-c]x', ['dx'], ['ax', 'bx']],
    ['a/**/**/b', ['a/b', 'a/x/b', 'a/x/y/b'], ['a/xb', 'ab']],
    ['?', ['😀'], ['😀😀']],
    ['', [], ['a']],
  ])('reads %j', (text, ignored, kept) => {
    const ignores = readIgnores(text)
    expect(ignored.filter((path) => !ignores(path))).toEqual([])
    expect(kept.filter(ignores)).toEqual([])
  })

  it('answers at once where a regular expression would try for ever', () => {
    const begin = performance.now()
    expect(readIgnores(`${'**/'.repeat(20)}x`)('a/'.repeat(80))).toBe(false)
    expect(readIgnores(`${'*a'.repeat(20)}x`)('a'.repeat(120))).toBe(false)
    expect(performance.now() - begin).toBeLessThan(5000)
  })
})
