import { expect, test } from 'vitest'
import { costOfBox, withCloud } from './charges.ts'

const hour = 3_600_000
const begin = Date.parse('2026-11-10T10:00:00Z')
const price = { currency: 'EUR', hourly: '0.01', monthly: '5', ipv4Hourly: '0.001', ipv4Monthly: '0.5' }
const cloud = (billedSince: number | null) => ({
  serverType: 'cx23',
  location: 'fsn1',
  arch: 'x86' as const,
  price,
  billedSince: billedSince === null ? null : new Date(billedSince).toISOString(),
})

test('a box is billed from when its machine was made until it is given back, and anew when it has another', () => {
  expect(costOfBox({}, begin)).toBeNull()
  let record = withCloud({}, cloud(begin), begin) ?? {}
  expect(costOfBox(record, begin)).toEqual({ currency: 'EUR', hourly: '0.011', soFar: '0.011', billed: true })
  expect(withCloud(record, cloud(begin), begin + hour)).toBeUndefined()
  expect(withCloud(record, undefined, begin + hour)).toBeUndefined()

  record = { ...record, ...withCloud(record, cloud(null), begin + hour + 1) }
  expect(costOfBox(record, begin + 9 * hour)).toMatchObject({ soFar: '0.022', billed: false })

  record = { ...record, ...withCloud(record, cloud(begin + 10 * hour), begin + 10 * hour) }
  expect(record.charges).toHaveLength(2)
  expect(costOfBox(record, begin + 10 * hour)).toMatchObject({ soFar: '0.033', billed: true })

  // Stopped and started while no daemon looked: what was open ends where the new one begins.
  record = { ...record, ...withCloud(record, cloud(begin + 20 * hour), begin + 21 * hour) }
  expect(record.charges?.map(({ to }) => to)).toEqual([begin + hour + 1, begin + 20 * hour, null])
})
