import { expect, it } from 'vitest'
import { costOf } from './billing.ts'
import { hourOf, serverTypes } from './catalog/server-types.ts'
import type { Charge } from './model.ts'
import { formatMoney, money, price } from './money.ts'
import { createBucket } from './rate-limit.ts'

const at = (text: string): number => Date.parse(text)
const charge = (from: string, until: string | null, prices: Pick<Charge, 'hourly' | 'monthly'>): Charge => ({
  ...{ kind: 'server', id: 1, what: 'cx23', from: at(from), until: until === null ? null : at(until) },
  ...prices,
})
const cx23 = { hourly: '0.0088', monthly: '5.49' }

it('writes prices as the API does', () => {
  expect(price('5.49')).toEqual({ net: '5.4900000000', gross: '6.5331000000000000' })
  expect(price('0.0088')).toEqual({ net: '0.0088000000', gross: '0.0104720000000000' })
  expect(() => money('1,5')).toThrow(RangeError)
})

it('has recorded prices of an hour that follow from those of a month', () => {
  for (const { name, prices } of serverTypes) {
    for (const { hourly, monthly } of prices) expect(hourOf(monthly), name).toBe(Number(hourly).toFixed(4))
  }
})

it.each([
  ['a second', '2026-11-01T00:00:00Z', '2026-11-01T00:00:01Z', '0.0088000000'],
  ['an hour and a second', '2026-11-01T00:00:00Z', '2026-11-01T01:00:01Z', '0.0176000000'],
  ['a whole month', '2026-11-01T00:00:00Z', '2026-12-01T00:00:00Z', '5.4900000000'],
  ['a month and an hour', '2026-11-01T00:00:00Z', '2026-12-01T01:00:00Z', '5.4988000000'],
  ['no time at all', '2026-11-01T00:00:00Z', '2026-11-01T00:00:00Z', '0.0088000000'],
])('bills started hours up to the price of the month: %s', (_, from, until, cost) => {
  expect(formatMoney(costOf(charge(from, until, cx23), at('2027-01-01T00:00:00Z')))).toBe(cost)
})

it('bills what still exists until now, and what has no hour by its part of the month', () => {
  expect(formatMoney(costOf(charge('2026-11-01T00:00:00Z', null, cx23), at('2026-11-01T02:30:00Z')))).toBe(
    '0.0264000000',
  )
  const image = { hourly: null, monthly: '3' }
  const half = charge('2026-11-01T00:00:00Z', '2026-11-16T00:00:00Z', image)
  expect(formatMoney(costOf(half, at('2027-01-01T00:00:00Z')))).toBe('1.5000000000')
})

it('fills the bucket by one request a second', () => {
  let now = 1_000_000
  const bucket = createBucket(() => now)
  for (let n = 0; n < 3600; n += 1) expect(bucket.take()).toBe(true)
  expect(bucket.take()).toBe(false)
  expect(bucket.reset()).toBe(1000 + 3600)
  now += 2500
  expect(bucket.remaining()).toBe(2)
  expect([bucket.take(), bucket.take(), bucket.take()]).toEqual([true, true, false])
})
