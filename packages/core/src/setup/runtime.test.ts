import { expect, test } from 'vitest'
import { satisfies } from './runtime.ts'

test.each([
  ['24.21.0', '24', true],
  ['24.21.0', '24.21', true],
  ['24.21.0', 'v24.21.0', true],
  ['24.21.0', '2', false],
  ['24.21.0', '24.2', false],
  ['3.11.2', '3.x', true],
  ['3.11', '3.11.2', false],
  ['1.19', '*', true],
  ['1.19', 'latest', true],
])('%s for %s: %s', (version, wanted, expected) => expect(satisfies(version, wanted)).toBe(expected))
