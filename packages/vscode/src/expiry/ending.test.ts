import { expect, test } from 'vitest'
import { aBox, now } from '../../test/support/a-box.ts'
import { endingSoon, endOf, ttlWithMore, whatHappens } from './ending.ts'

const minutes = (left: number, ttl = 60) =>
  aBox({ lease: { ...aBox().lease, ttlSeconds: ttl * 60, expiresAt: new Date(now + left * 60_000).toISOString() } })

test.each([
  ['ten minutes at most', '', minutes(11), false],
  ['from ten minutes on', '', minutes(10), true],
  ['of a short time the last quarter', '', minutes(4, 12), false],
  ['and that', '', minutes(3, 12), true],
  ['as long before as is set', '2h', minutes(119), true],
  ['not at all', 'off', minutes(1), false],
  ['as usual where the setting is no time', 'soon', minutes(10), true],
  ['not when it is over', '', minutes(0), false],
])('is asked about %s', (_, setting, box, expected) => {
  expect(endingSoon([box], setting, now)).toEqual(expected ? [box] : [])
})

test('nobody is asked about a box without an end, or one that goes', () => {
  const { lease } = aBox()
  expect(endingSoon([aBox({ lease: { ...lease, ttlSeconds: null, expiresAt: null } })], '2h', now)).toEqual([])
  expect(endingSoon([aBox({ status: 'destroying' })], '2h', now)).toEqual([])
})

test('one that was extended has another end', () => {
  expect(endOf(minutes(5))).not.toBe(endOf(minutes(6)))
  expect(whatHappens(aBox())).toBe('destroyed')
})

test('more time is counted from the end, as a time from now', () => {
  expect(ttlWithMore(minutes(5), 3_600_000, now)).toBe('3900s')
  expect(ttlWithMore(minutes(-5), 3_600_000, now)).toBe('3600s')
})
