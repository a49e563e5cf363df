import { describe, expect, test } from 'vitest'
import { type Charge, compareAmounts, costBetween, costOf, formatMoney, hourlyOf, nextHour, sumOf } from './price.ts'

const price = { currency: 'EUR', hourly: '0.0088', monthly: '5.49', ipv4Hourly: '0.0008', ipv4Monthly: '0.50' }
const at = (text: string): number => Date.parse(`${text}Z`)
const charge = (from: string, to?: string): Charge => ({ price, from: at(from), to: to === undefined ? null : at(to) })

describe('amounts', () => {
  test('are added exactly, where binary fractions are not', () => {
    expect(sumOf(['0.1', '0.2'])).toBe('0.30')
    expect(sumOf(['0.0088', '0.0008'])).toBe('0.0096')
    expect(sumOf([])).toBe('0.00')
    expect(sumOf(['999999999999', '0.0000000000000001'])).toBe('999999999999.0000000000000001')
    expect(hourlyOf(price)).toBe('0.0096')
  })
  test.each([
    ['1', '1.00', 0],
    ['0.9', '0.10', 1],
    ['9', '10', -1],
  ])('%s beside %s', (a, b, expected) => expect(Math.sign(compareAmounts(a, b))).toBe(expected))
})

describe('a charge', () => {
  test.each([
    ['no time at all', '2026-11-10T10:00:00', '2026-11-10T10:00:00', '0.0096'],
    ['one second', '2026-11-10T10:00:00', '2026-11-10T10:00:01', '0.0096'],
    ['an hour to the millisecond', '2026-11-10T10:00:00', '2026-11-10T11:00:00', '0.0096'],
    ['a second more', '2026-11-10T10:00:00', '2026-11-10T11:00:01', '0.0192'],
    ['a day', '2026-11-10T10:00:00', '2026-11-11T10:00:00', '0.2304'],
    ['a whole month: both caps', '2026-11-01T00:00:00', '2026-12-01T00:00:00', '5.99'],
    ['two months: the caps of both', '2026-11-01T00:00:00', '2027-01-01T00:00:00', '11.98'],
    ['an hour over the end of a month, once', '2026-11-30T23:30:00', '2026-12-01T00:10:00', '0.0096'],
    ['15 days on each side of it, below the caps', '2026-11-16T00:00:00', '2026-12-16T00:00:00', '6.912'],
  ])('%s', (_what, from, to, expected) => {
    expect(costOf(charge(from, to), at('2030-01-01T00:00:00'))).toBe(expected)
  })

  test('that goes on has cost an hour when it begins, and grows with each hour', () => {
    const open = charge('2026-11-10T10:00:00')
    expect(costOf(open, open.from)).toBe('0.0096')
    expect(costOf(open, open.from + 3_599_999)).toBe('0.0096')
    expect(costOf(open, open.from + 3_600_000)).toBe('0.0192')
    expect(nextHour(open, open.from)).toBe(open.from + 3_600_000)
    expect(nextHour(open, open.from + 3_600_000)).toBe(open.from + 7_200_000)
  })

  test('is told by days without a rest, the hour over midnight in the day in which it begins', () => {
    const open = charge('2026-11-10T22:30:00')
    const days = ['2026-11-10', '2026-11-11', '2026-11-12', '2026-11-13'].map((day) => at(`${day}T00:00:00`))
    const each = [0, 1, 2].map((day) => costBetween(open, days[day] ?? 0, days[day + 1] ?? 0))
    expect(each).toEqual(['0.0192', '0.2304', '0.2304'])
    expect(costBetween(open, 0, days[3] ?? 0)).toBe(sumOf(each))
  })
})

test.each([
  ['0.0096', '0.0096 EUR'],
  ['12', '12.00 EUR'],
  ['0.10', '0.10 EUR'],
  ['5.9900', '5.99 EUR'],
  ['0.00001', '0.0001 EUR'],
  ['9.99999', '10.00 EUR'],
  ['0.00', '0.00 EUR'],
])('%s is written as %s', (amount, expected) => expect(formatMoney(amount, 'EUR')).toBe(expected))
