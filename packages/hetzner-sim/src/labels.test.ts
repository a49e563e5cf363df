import { expect, it } from 'vitest'
import { labels, parseSelector } from './labels.ts'

it.each([
  ['k=v', { k: 'v' }, true],
  ['k==v', { k: 'w' }, false],
  ['k!=v', {}, true],
  ['k!=v', { k: 'v' }, false],
  ['k', { k: '' }, true],
  ['k', {}, false],
  ['!k', {}, true],
  ['k in (a, b)', { k: 'b' }, true],
  ['k in (a,b)', {}, false],
  ['k notin (a,b),x=1', { k: 'c', x: '1' }, true],
  ['k notin (a,b),x=1', { k: 'a', x: '1' }, false],
  ['k=', { k: '' }, true],
  ['gibil/box-id=abc', { 'gibil/box-id': 'abc' }, true],
])('selects by %s', (selector, all, expected) => {
  expect(parseSelector(selector)(all)).toBe(expected)
})

it.each(['', 'k=v,', 'k in a', '=v', 'k=v=w', 'k in (a', 'a b'])('refuses the selector %j', (selector) => {
  expect(() => parseSelector(selector)).toThrow('label selector is invalid')
})

it('takes labels as Hetzner does', () => {
  const fine = [{}, { a: '' }, { 'gibil.dev/x_y.z-1': 'v-1.2_3' }, { ['k'.repeat(63)]: 'v'.repeat(63) }]
  const bad = [{ '': 'v' }, { k: 'a:b' }, { '-k': 'v' }, { ['k'.repeat(64)]: 'v' }, { k: 'v'.repeat(64) }]
  for (const each of fine) expect(labels.safeParse(each).success, JSON.stringify(each)).toBe(true)
  for (const each of [...bad, { 'hetzner.cloud/x': 'v' }, { '/k': 'v' }, { 'a/b/c': 'v' }, { k: 'v-' }]) {
    expect(labels.safeParse(each).success, JSON.stringify(each)).toBe(false)
  }
})
