import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createDemand, limitDear, shareOut } from './demand.ts'

describe('demand', () => {
  const make = () => createDemand({ windowMs: 1000, burstMs: 100 })

  it('is the most that was wanted within one burst', () => {
    const demand = make()
    for (const at of [0, 10, 20, 300, 350, 390, 399]) demand.note('a', at)
    expect([...demand.peaks(400)]).toEqual([['a', 4]])
  })

  it('counts what is a whole burst apart as two', () => {
    const demand = make()
    for (const at of [0, 100, 200]) demand.note('a', at)
    expect(demand.peaks(200).get('a')).toBe(1)
  })

  it('is forgotten after its window, key by key, the latest wanted first', () => {
    const demand = make()
    demand.note('a', 0)
    demand.note('b', 500)
    demand.note('a', 600)
    expect([...demand.peaks(700).keys()]).toEqual(['a', 'b'])
    expect([...demand.peaks(1550).keys()]).toEqual(['a'])
    expect(demand.peaks(1600).size).toBe(0)
  })

  it('never exceeds what was noted, nor what a pool can use', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2000 }), { maxLength: 100 }), (unsorted) => {
        const demand = make()
        const times = unsorted.toSorted((a, b) => a - b)
        for (const time of times) demand.note('a', time)
        const peak = demand.peaks(2000).get('a') ?? 0
        expect(peak).toBeLessThanOrEqual(times.filter((time) => time > 1000).length)
        expect(peak > 0).toBe(times.some((time) => time > 1000))
      }),
    )
  })
})

describe('the share of each key', () => {
  it('is one each, then all that the latest wants', () => {
    const wanted = new Map([
      ['latest', 9],
      ['older', 5],
      ['oldest', 1],
    ])
    expect([...shareOut(wanted, 8).values()]).toEqual([6, 1, 1])
    expect([...shareOut(wanted, 2).values()]).toEqual([1, 1, 0])
    expect([...shareOut(wanted, 100).values()]).toEqual([9, 5, 1])
    expect([...shareOut(wanted, 0).values()]).toEqual([0, 0, 0])
  })

  it('is less for what is dear, and the same for all else', () => {
    const wanted = new Map([
      ['dear one', 9],
      ['cheap', 7],
      ['dear two', 3],
    ])
    const limited = limitDear(wanted, (key) => key.startsWith('dear'), 4)
    expect([...limited]).toEqual([
      ['dear one', 3],
      ['cheap', 7],
      ['dear two', 1],
    ])
  })

  it('never exceeds the budget or the wish', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20)), fc.nat(40), (counts, budget) => {
        const wanted = new Map(counts.map((count, index) => [String(index), count]))
        const shares = [...shareOut(wanted, budget).values()]
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(
          Math.min(
            budget,
            counts.reduce((sum, count) => sum + count, 0),
          ),
        )
        expect(shares.every((share, index) => share <= (counts[index] ?? 0))).toBe(true)
      }),
    )
  })
})
