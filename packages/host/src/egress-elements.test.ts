import { expect, test } from 'vitest'
import { apart, egressElements } from './egress-elements.ts'
import { formatNet, parseNet } from './ipv4.ts'

test.each([
  [[], []],
  [['203.0.113.7'], ['203.0.113.7/32']],
  [['10.1.2.3/8'], ['10.0.0.0/8']],
  [
    ['10.1.0.0/16', '10.0.0.0/8', '10.1.2.3', '192.0.2.1', '192.0.2.1/32'],
    ['10.0.0.0/8', '192.0.2.1/32'],
  ],
  [['203.0.113.7', '0.0.0.0/0'], ['0.0.0.0/0']],
  [
    ['128.0.0.0/1', '0.0.0.0/1'],
    ['128.0.0.0/1', '0.0.0.0/1'],
  ],
])('of %j %j are kept', (given, kept) => {
  expect(apart(given).map(formatNet)).toEqual(kept)
})

test('names the box by its own address in each element', () => {
  const subnet = parseNet('10.64.4.0/22') ?? { address: 0, bits: 0 }
  const egress = new Map([
    [0, { allow: ['203.0.113.7'], deny: ['0.0.0.0/0'] }],
    [9, { allow: [], deny: ['198.51.100.0/24', '192.0.2.1'] }],
  ])
  expect(egressElements('allowed', 'allow', subnet, egress)).toBe(
    'set allowed { type ipv4_addr . ipv4_addr; flags interval; elements = { 10.64.4.2 . 203.0.113.7/32 }; }',
  )
  expect(egressElements('denied', 'deny', subnet, egress)).toContain(
    '{ 10.64.4.2 . 0.0.0.0/0, 10.64.4.11 . 198.51.100.0/24, 10.64.4.11 . 192.0.2.1/32 }',
  )
  expect(egressElements('denied', 'deny', subnet, new Map())).not.toContain('elements')
})
