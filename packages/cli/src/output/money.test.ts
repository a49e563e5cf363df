import { expect, test } from 'vitest'
import { money } from './money.ts'

test.each([
  ['0.0096', '0.0096 EUR'],
  ['12', '12.00 EUR'],
  ['0.10', '0.10 EUR'],
  ['5.9900', '5.99 EUR'],
  ['0.00001', '0.0001 EUR'],
  ['9.99999', '10.00 EUR'],
  ['0.00', '0.00 EUR'],
])('%s is written as %s', (amount, expected) => expect(money(amount, 'EUR')).toBe(expected))
