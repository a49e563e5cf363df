import type { ConnectBoxd } from '@gibil/core'
import { expect, test } from 'vitest'
import { connectBoxd } from './connect-boxd.ts'

test('fits the port of core', () => {
  const connect = connectBoxd satisfies ConnectBoxd
  expect(Object.keys(connect(() => Promise.reject(new Error('not dialled'))))).toContain('exec')
})
