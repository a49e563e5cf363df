import fc from 'fast-check'

/** The part of JSON Schema that zod writes for our schemas. */
export interface JsonSchema {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: JsonSchema | boolean
  readonly items?: JsonSchema
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
}

const oddStrings = fc.constantFrom('', 'none', '0', '-1', '90m', '1e999', '../..', '~', 'a\0b', '__proto__', 'ä\ud800')
const oddNumbers = fc.constantFrom(0, -1, 0.5, 1e308, -1e308, 2 ** 31, 2 ** 53, 1e-9)

/** Values that fit a schema, and beside them, at every level, ones that nearly do or do not at all. */
export function valuesOf(schema: JsonSchema, wild = 10): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 90, arbitrary: fitting(schema, wild) }, { weight: wild, arbitrary: fc.jsonValue() })
}

function fitting(schema: JsonSchema, wild: number): fc.Arbitrary<unknown> {
  if ('const' in schema) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return fc.oneof(...choices.map((choice) => valuesOf(choice, wild)))
  switch (schema.type) {
    case 'string':
      return fc.oneof(
        fc.string(),
        oddStrings,
        ...(schema.pattern ? [fc.stringMatching(new RegExp(schema.pattern))] : []),
      )
    case 'integer':
      return fc.oneof(fc.integer(bounds(schema)), fc.constantFrom(schema.minimum ?? 0, schema.maximum ?? 1), oddNumbers)
    case 'number':
      return fc.oneof(fc.double(bounds(schema)), fc.integer({ min: 0, max: 100 }), oddNumbers)
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array':
      return fc.array(valuesOf(schema.items ?? {}, wild), { maxLength: 4 })
    case 'object':
      return objectOf(schema, wild)
    default:
      return fc.jsonValue()
  }
}

const bounds = ({ minimum, maximum }: JsonSchema): { min: number; max: number } => {
  const min = Math.max(minimum ?? -1000, -(2 ** 31))
  return { min, max: Math.max(min, Math.min(maximum ?? 1000, 2 ** 31 - 1)) }
}

function objectOf(
  { properties = {}, required = [], additionalProperties }: JsonSchema,
  wild: number,
): fc.Arbitrary<unknown> {
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, field]) => [
      name,
      required.includes(name) ? valuesOf(field, wild) : fc.option(valuesOf(field, wild), { nil: undefined, freq: 2 }),
    ]),
  )
  const extra = typeof additionalProperties === 'object' ? valuesOf(additionalProperties, wild) : fc.jsonValue()
  const others =
    typeof additionalProperties === 'object'
      ? fc.dictionary(fc.string(), extra, { maxKeys: 3 })
      : fc.oneof(
          { weight: 19, arbitrary: fc.constant({}) },
          { weight: 1, arbitrary: fc.dictionary(fc.string(), extra) },
        )
  return fc.tuple(fc.record(fields), others).map(([known, unknown]) => ({ ...unknown, ...known }))
}
