import { expect, test } from 'vitest'
import { inTreeOrder } from './snapshot-tree.ts'

test('what came of a snapshot stands below it, and what came of one that is not there by itself', () => {
  const node = (id: string, parent: string | null) => ({ id, parent })
  const found = inTreeOrder([node('a', null), node('b', 'gone'), node('c', 'a'), node('d', 'c'), node('e', 'a')])
  expect(found.map(({ snapshot, depth }) => `${depth}${snapshot.id}`)).toEqual(['0a', '1c', '2d', '1e', '0b'])
})
