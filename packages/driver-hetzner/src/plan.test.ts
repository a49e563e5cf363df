import { sizePresets } from '@gibil/contract'
import type { Offer } from '@gibil/core'
import { describe, expect, test } from 'vitest'
import { alternatives, available, plan, type Wish } from './plan.ts'
import { priceList } from './testing/price-list.ts'

const names = (offers: readonly Offer[]): string[] =>
  offers.map(({ serverType, location }) => `${serverType}@${location}`)
const planFor = (wish: Partial<Wish>, soldOut: readonly string[] = []): string[] =>
  names(plan({ size: sizePresets.small, ...wish }, priceList({ soldOut })))

describe('the plan for a size', () => {
  test('is the cheapest first, in the order of places, up to five times its price', () => {
    expect(planFor({})).toEqual([
      ...['cx23@fsn1', 'cx23@nbg1', 'cx23@hel1'],
      ...['cx33@fsn1', 'cx33@nbg1', 'cx33@hel1'],
      ...['cx43@fsn1', 'cx43@nbg1', 'cx43@hel1'],
      ...['cpx22@fsn1', 'cpx22@nbg1', 'cpx22@hel1'],
    ])
  })

  test.each([
    ['small', 'cx23', 'cpx22'],
    ['medium', 'cx33', 'cpx32'],
    ['large', 'cx43', 'cpx42'],
  ] as const)('%s is %s, and %s when the cheap line is sold out', (preset, first, other) => {
    const size = sizePresets[preset]
    expect(planFor({ size })[0]).toBe(`${first}@fsn1`)
    expect(names(available(plan({ size }, priceList({ soldOut: ['cx23', 'cx33', 'cx43'] })), []))[0]).toBe(
      `${other}@fsn1`,
    )
  })

  test('has what is sold out at its end', () => {
    const order = planFor({}, ['cx23@fsn1', 'cx33'])
    expect(order.slice(0, 3)).toEqual(['cx23@nbg1', 'cx23@hel1', 'cx43@fsn1'])
    expect(order.slice(-4)).toEqual(['cx23@fsn1', 'cx33@fsn1', 'cx33@nbg1', 'cx33@hel1'])
  })

  test('never has another architecture than the one that is asked for, x86 when none is', () => {
    expect(planFor({}).some((name) => name.startsWith('cax'))).toBe(false)
    expect(planFor({ cloud: { arch: 'arm' } })).toEqual(['cax11@fsn1', 'cax11@nbg1', 'cax11@hel1'])
    expect(planFor({ cloud: { serverType: 'cax11', location: 'nbg1' } })).toEqual(['cax11@nbg1'])
    expect(() => planFor({ cloud: { serverType: 'cax11', arch: 'x86' } })).toThrow(/cax11 is arm, not x86/)
  })

  test('keeps to the type and the place that are named', () => {
    expect(planFor({ cloud: { serverType: 'cx43', location: 'hel1' } })).toEqual(['cx43@hel1'])
    expect(planFor({ cloud: { location: 'nbg1', maxHourly: '0.02' } })).toEqual(['cx23@nbg1', 'cx33@nbg1'])
  })

  test('is never above the cap, and counts the address with it', () => {
    expect(planFor({ cloud: { maxHourly: '0.0096' } })).toEqual(['cx23@fsn1', 'cx23@nbg1', 'cx23@hel1'])
    expect(() => planFor({ cloud: { maxHourly: '0.0095' } })).toThrow(
      expect.objectContaining({ code: 'over_price_cap', details: { cheapest: '0.0096', cap: '0.0095' } }),
    )
    expect(() => planFor({ cloud: { serverType: 'ccx63', maxHourly: '1' } })).toThrow(/costs 1.3686 an hour/)
  })

  test('says what is not sold', () => {
    expect(() => planFor({ cloud: { serverType: 'cx99' } })).toThrow(/no server type "cx99"/)
    expect(() => planFor({ cloud: { location: 'mars1' } })).toThrow(/no location "mars1"/)
    expect(() => planFor({ size: { cpu: 64, memoryMib: 1024, diskMib: 1024 } })).toThrow(
      expect.objectContaining({ code: 'invalid_size' }),
    )
  })

  test('of a saved disk is the same family, its own type first, with room for the disk', () => {
    const images = [{ arch: 'x86', diskGb: 80 } as const]
    expect(planFor({ images, savedOn: 'cx43' })).toEqual([
      ...['cx43@fsn1', 'cx43@nbg1', 'cx43@hel1'],
      ...['cx33@fsn1', 'cx33@nbg1', 'cx33@hel1'],
    ])
  })

  test('is over when everything is sold out, and says what else there is, cheapest first', () => {
    const all = priceList({ soldOut: ['cx23', 'cx33', 'cx43', 'cpx22'] })
    const wish = { size: sizePresets.small, cloud: { maxHourly: '0.05' } }
    expect(names(alternatives(wish, all)).slice(0, 4)).toEqual(['cax11@fsn1', 'cax11@nbg1', 'cax11@hel1', 'cpx32@fsn1'])
    expect(() => available(plan(wish, all), alternatives(wish, all))).toThrow(
      expect.objectContaining({
        code: 'cloud_sold_out',
        message: expect.stringMatching(/cx23 in fsn1, .*cpx22 in hel1\.$/),
        hint: expect.stringMatching(/^There is still: cax11 in fsn1 \(0\.0104 EUR an hour\), .*--server-type/),
      }),
    )
  })

  test('has no alternatives that its image does not fit', () => {
    const images = [{ arch: 'x86', diskGb: 100 } as const]
    const wish = { size: sizePresets.small, images, cloud: { serverType: 'cx43' } }
    const one = priceList({ soldOut: ['cx43'] })
    expect(names(alternatives(wish, one))[0]).toBe('cpx32@fsn1')
    const none = priceList({ soldOut: ['cx43', 'cpx32', 'cpx42', 'ccx63'] })
    expect(() => available(plan(wish, none), alternatives(wish, none))).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('Nothing else') }),
    )
  })
})
