import { expect, test } from 'vitest'
import { checkedTag, readName } from './names.ts'

test.each([
  ['my-tpl', { name: 'my-tpl', tag: undefined }],
  [' My_Tpl:V1.0 ', { name: 'my_tpl', tag: 'v1.0' }],
  ['a:', undefined],
  [':a', undefined],
  ['a:b:c', undefined],
  ['team/a', undefined],
  ['../a', undefined],
  ['', undefined],
])('%j is %j', (text, found) => {
  expect(readName(text)).toEqual(found)
})

test('a tag comes alone', () => {
  expect(checkedTag('Stable')).toBe('stable')
  for (const bad of [':stable', 'a:', 'a/b', '']) expect(() => checkedTag(bad)).toThrow(/no tag/)
})
