import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatBytes, parseMib } from './index.ts'

const invalid = expect.objectContaining({ code: 'invalid_size' })

describe('parseMib', () => {
  test.each([
    ['512M', 512],
    ['512MiB', 512],
    ['4G', 4096],
    ['4gb', 4096],
    ['1.5g', 1536],
    ['1T', 1_048_576],
    ['4', 4096],
    [2, 2048],
    ['0.5', 512],
  ])('%o is %i MiB', (text, mib) => expect(parseMib(text)).toBe(mib))

  test.each(['', '0', '-1G', '4K', '4X', 'G', '1 000M', '1e3M', '0.0001M', 'NaN', '9'.repeat(20), '9'.repeat(400)])(
    '%o is refused',
    (text) => expect(() => parseMib(text)).toThrow(invalid),
  )

  test('any text is either at least 1 whole MiB or refused', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.stringMatching(/^[0-9]{1,400}[mgt]?$/),
          fc.stringMatching(/^[0-9.]{1,6}[mgtMGT]?(i?[bB])?$/),
        ),
        (text) => {
          try {
            const mib = parseMib(text)
            expect(Number.isSafeInteger(mib) && mib >= 1).toBe(true)
          } catch (error) {
            expect(error).toEqual(invalid)
          }
        },
      ),
    )
  })
})

describe('formatBytes', () => {
  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [512 * 1024 ** 2, '512 MiB'],
    [1.5 * 1024 ** 3, '1.5 GiB'],
    [5000 * 1024 ** 4, '5000 TiB'],
  ])('%i is %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text))
})
