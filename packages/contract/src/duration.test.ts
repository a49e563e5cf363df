import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatDuration, parseDuration } from './index.ts'

const invalid = expect.objectContaining({ code: 'invalid_duration' })
const unitMs = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000, mo: 2_592_000_000, y: 31_536_000_000 }
type Unit = keyof typeof unitMs

describe('parseDuration', () => {
  test.each([
    ['90m', 5_400_000],
    ['2h', 7_200_000],
    ['1h30m', 5_400_000],
    ['7d', 604_800_000],
    ['1mo', 2_592_000_000],
    ['90', 5_400_000],
    [90, 5_400_000],
    [0.5, 30_000],
    ['1.5h', 5_400_000],
    [' 5m ', 300_000],
  ])('%o is %i ms', (text, ms) => expect(parseDuration(text)).toBe(ms))

  test.each([
    '',
    '0',
    '0s',
    '-5m',
    '13x',
    '5 m',
    'm',
    '1h-30m',
    '1e3',
    'Infinity',
    'NaN',
    '5M',
    '0x10',
    'none',
    '1mm',
    '0.000000001',
    '9'.repeat(30),
  ])('%o is refused', (text) => expect(() => parseDuration(text)).toThrow(invalid))

  test('the sum of any parts is read as that sum', () => {
    const part = fc.tuple(fc.integer({ min: 1, max: 999 }), fc.constantFrom<Unit>('s', 'm', 'h', 'd', 'w', 'mo', 'y'))
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
        const text = parts.map(([amount, unit]) => `${amount}${unit}`).join('')
        expect(parseDuration(text)).toBe(parts.reduce((sum, [amount, unit]) => sum + amount * unitMs[unit], 0))
      }),
    )
  })

  test('any text is either a whole number of milliseconds, at least 1, or refused', () => {
    const text = fc.oneof(
      fc.string(),
      fc.stringMatching(/^[0-9.smhdwyo-]{0,12}$/),
      fc.stringMatching(/^[0-9]{1,40}(\.[0-9]{1,20})?[smhdwy]?$/),
    )
    fc.assert(
      fc.property(text, (input) => {
        try {
          const ms = parseDuration(input)
          expect(Number.isSafeInteger(ms) && ms >= 1).toBe(true)
        } catch (error) {
          expect(error).toEqual(invalid)
        }
      }),
    )
  })
})

describe('formatDuration', () => {
  test.each([
    [0, '0ms'],
    [999, '999ms'],
    [45_000, '45s'],
    [5_400_000, '1h 30m'],
    [3_600_000, '1h'],
    [604_799_000, '6d 23h'],
    [59_999, '1m'],
  ])('%i is %s', (ms, text) => expect(formatDuration(ms)).toBe(text))

  test('what it writes is read as the same, as long as two units say it all', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 23 }), fc.integer({ min: 0, max: 59 }), (hours, minutes) => {
        const ms = hours * 3_600_000 + minutes * 60_000
        expect(parseDuration(formatDuration(ms).replace(' ', ''))).toBe(ms)
      }),
    )
  })
})
