import { GibilError } from '@gibil/contract'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import * as z from 'zod'
import { type JsonSchema, valuesOf } from '../../../../test/support/schema-arbitrary.ts'
import { parseGibilYml } from './parse.ts'
import { GibilYml } from './schema.ts'

const schema = z.toJSONSchema(GibilYml, { io: 'input', unrepresentable: 'any' }) as JsonSchema
const document = valuesOf(schema, 3)

test('a file of any values is read, or refused with a line for each thing that is wrong', () => {
  fc.assert(
    fc.property(document, (value) => {
      const text = stringify(value)
      try {
        parseGibilYml(text)
      } catch (error) {
        if (!GibilError.is(error)) throw error
        expect(error.code).toBe('invalid_config')
        expect(error.message).toMatch(/^\.gibil\.yml:\d+:\d+: /)
      }
    }),
  )
})

test('however a file is written, it says the same', () => {
  fc.assert(
    fc.property(document, fc.constantFrom('BLOCK_LITERAL', 'QUOTE_DOUBLE', 'QUOTE_SINGLE'), (value, type) => {
      const read = (text: string): unknown => {
        try {
          return parseGibilYml(text)
        } catch (error) {
          return GibilError.is(error) ? error.code : Promise.reject(error)
        }
      }
      // JSON is YAML too; numbers are left out, since those of variables keep the way they are written.
      if (/:(-?\d|\[-?\d|,-?\d)/.test(JSON.stringify(value))) return
      const json = JSON.stringify(value)
      expect(read(stringify(value, { defaultStringType: type, lineWidth: 0 }))).toEqual(read(json))
    }),
  )
})
