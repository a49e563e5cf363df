import { type Charge, compareAmounts, costOf, type Price, sumOf } from '@gibil/contract'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { chargeOf, checkBudget, costOnDay, dayOf, untilEnd } from './budget.ts'

const hour = 3_600_000
const day = 24 * hour
const now = Date.UTC(2026, 0, 10, 22, 30)
const price = (hourly: string, change: Partial<Price> = {}): Price => ({
  ...{ currency: 'EUR', hourly, monthly: '1000', ipv4Hourly: '0.001', ipv4Monthly: '0.5' },
  ...change,
})
const none = { daily: null, perBox: null }
const asked = (charges: Charge[], change: object = {}) => ({ charges, count: 1, maxCost: null, ...change })

describe('a budget', () => {
  test('of a day is looked at for each day until the end: an hour counts where it begins', () => {
    // 22:30, 23:30 | 00:30: the lease of two hours takes the begin of a third.
    const charge = chargeOf(price('0.099'), 2 * hour, now)
    expect([0, 1].map((after) => costOnDay([charge], dayOf(now) + after * day))).toEqual(['0.20', '0.10'])
    const two = { ...none, daily: '0.20' }
    expect(() => checkBudget(two, [], asked([charge]), now)).not.toThrow()
    const tomorrow: Charge = { price: price('0.1'), from: now - 3 * hour, to: now + 5 * hour }
    expect(() => checkBudget({ ...none, daily: '0.70' }, [tomorrow], asked([charge]), now)).toThrow(/on 2026-01-10/)
    expect(() => checkBudget({ ...none, daily: '0.39' }, [], asked([charge], { count: 2 }), now)).toThrow(
      /2 boxes would cost 0.40 EUR/,
    )
  })

  test('of a box is of all its life, and the caller may have a smaller one', () => {
    const charges = [
      { price: price('0.099'), from: now - 5 * hour, to: now - 4 * hour },
      chargeOf(price('0.099'), hour, now),
    ]
    expect(() => checkBudget({ ...none, perBox: '0.30' }, [], asked(charges), now)).not.toThrow()
    expect(() => checkBudget({ ...none, perBox: '0.29' }, [], asked(charges), now)).toThrow(/0.30 EUR.*budget of a box/)
    expect(() => checkBudget(none, [], asked(charges, { maxCost: '0.29' }), now)).toThrow(/--max-cost/)
  })

  test('never counts more than the cap of a month, for the machine and its address each', () => {
    const capped = chargeOf(price('1', { monthly: '5', ipv4Hourly: '0.1', ipv4Monthly: '0.5' }), 10 * day, now)
    expect(() => checkBudget({ ...none, perBox: '5.50' }, [], asked([capped]), now)).not.toThrow()
  })
})

const anyPrice = fc
  .tuple(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 0, max: 20 }))
  .map(([server, ipv4]) => price((server / 10_000).toFixed(4), { ipv4Hourly: (ipv4 / 10_000).toFixed(4) }))
const anyBox = fc.record({
  price: anyPrice,
  after: fc.integer({ min: 0, max: 2 * day }),
  ttl: fc.integer({ min: 15 * 60_000, max: 3 * day }),
  /** How late its machine is made, which may move an hour to the next day, and how long its end takes. */
  late: fc.integer({ min: 0, max: 60_000 }),
  end: fc.integer({ min: 0, max: 60_000 }),
})

test('whatever was let in, no day and no box costs more than its budget, when all have ended with their leases', () => {
  fc.assert(
    fc.property(fc.array(anyBox, { maxLength: 12 }), fc.integer({ min: 1, max: 300 }), (boxes, cents) => {
      const limits = { daily: (cents / 100).toFixed(2), perBox: (cents / 150).toFixed(2) }
      const planned: Charge[] = []
      const real: (Charge & { late: number })[] = []
      for (const { price: each, after, ttl, late, end } of boxes.toSorted((a, b) => a.after - b.after)) {
        const at = now + after
        const charge = chargeOf(each, ttl, at)
        try {
          checkBudget(limits, planned, asked([charge]), at)
        } catch {
          continue
        }
        planned.push(charge)
        real.push({ price: each, from: at + late, to: at + ttl + end, late })
      }
      for (let each = dayOf(now); each < now + 6 * day; each += day) {
        const onTime = real.map(({ late, ...charge }) => ({ ...charge, from: charge.from - late }))
        expect(compareAmounts(costOnDay(onTime, each), limits.daily)).toBeLessThanOrEqual(0)
      }
      for (const charge of real)
        expect(compareAmounts(costOf(charge, now + 9 * day), limits.perBox)).toBeLessThanOrEqual(0)
    }),
  )
})

test('a day costs the hours that begin in it, and all days together what all costs', () => {
  fc.assert(
    fc.property(
      anyPrice,
      fc.integer({ min: 0, max: 3 * day }),
      fc.integer({ min: 1, max: 3 * day }),
      (each, at, length) => {
        const charge: Charge = { price: each, from: now + at, to: now + at + length }
        const begins = Array.from({ length: Math.ceil(length / hour) }, (_, index) => charge.from + index * hour)
        const days = Array.from({ length: 8 }, (_, index) => dayOf(now) + index * day)
        const byDay = days.map((one) => costOnDay([charge], one))
        expect(byDay).toEqual(
          days.map((one) =>
            sumOf(begins.filter((begin) => dayOf(begin) === one).flatMap(() => [each.hourly, each.ipv4Hourly])),
          ),
        )
        expect(sumOf(byDay)).toBe(costOf(charge, now + 9 * day))
      },
    ),
  )
})

test('what is not billed any more stays, and what is goes on to the end of its lease', () => {
  const open = { price: price('1'), from: now - hour, to: null }
  const ended = { price: price('1'), from: now - 9 * hour, to: now - 8 * hour }
  expect(untilEnd([ended, open], now + hour, now)).toEqual([ended, { ...open, to: now + hour + 120_000 }])
  // One whose end is over and that is there still.
  expect(untilEnd([open], now - hour, now)).toEqual([{ ...open, to: now + 120_000 }])
  expect(untilEnd([open], null, now)).toEqual([open])
})
