import { expect, test } from 'vitest'
import { leaseAt } from './lease-at.ts'

test('a box is stopped where it cannot be paused, and paused again where it can', () => {
  const record = { onExpire: 'destroy', onIdle: 'pause' } as const
  const there = leaseAt(record, false)
  expect(there).toEqual({ onExpire: 'destroy', onIdle: 'stop', pauseLost: ['onIdle'] })
  expect(leaseAt(there, false)).toEqual(there)
  expect(leaseAt(there, true)).toEqual({ ...record, pauseLost: [] })
})

test('what was meant to be a stop stays one', () => {
  const record = { onExpire: 'pause', onIdle: 'stop' } as const
  expect(leaseAt(leaseAt(record, false), true)).toEqual({ ...record, pauseLost: [] })
})

test('a record of an older version has one end for both', () => {
  expect(leaseAt({ onExpire: 'pause' }, false)).toEqual({ onExpire: 'stop', pauseLost: ['onExpire'] })
})
