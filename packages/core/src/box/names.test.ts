import { randomBytes } from 'node:crypto'
import { BoxName } from '@gibil/contract'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isBoxId, newBoxId } from './ids.ts'
import { checkName, fleetName, friendlyName } from './names.ts'

const invalid = expect.objectContaining({ code: 'invalid_name' })

describe('names', () => {
  test('that are made up are always names, also as the base of a fleet', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 5, maxLength: 5 }), (bytes) => {
        const name = friendlyName((length) => bytes.subarray(0, length))
        expect(checkName(name)).toBe(name)
        expect(BoxName.safeParse(fleetName(name, 500)).success).toBe(true)
      }),
    )
  })

  test.each(['', '-a', 'a-', '1a', 'A', 'a_b', 'a.b', 'a b', 'ü', 'a'.repeat(64), '../x', 'a\n'])(
    '%o is refused',
    (name) => {
      expect(() => checkName(name)).toThrow(invalid)
    },
  )

  test('ids are never names, and each is another', () => {
    const ids = new Set(Array.from({ length: 1000 }, () => newBoxId((length) => randomBytes(length))))
    expect(ids.size).toBe(1000)
    for (const id of ids) {
      expect(isBoxId(id)).toBe(true)
      expect(() => checkName(id)).toThrow(invalid)
    }
  })
})
