import * as z from 'zod'

type Schema = Readonly<Record<string, unknown>>

const Parts = z.looseObject({
  $ref: z.string().optional(),
  type: z.union([z.string(), z.array(z.string())]).optional(),
  enum: z.array(z.unknown()).optional(),
  const: z.unknown().optional(),
  anyOf: z.array(z.record(z.string(), z.unknown())).optional(),
  oneOf: z.array(z.record(z.string(), z.unknown())).optional(),
  items: z.record(z.string(), z.unknown()).optional(),
  properties: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
  required: z.array(z.string()).optional(),
  additionalProperties: z.union([z.boolean(), z.record(z.string(), z.unknown())]).optional(),
  description: z.string().optional(),
})

/** A JSON schema as a person writes a type: fields with `?` where they may be left out, `@Name` for a named schema. */
export function describeSchema(schema: Schema, indent = ''): string {
  const parts = Parts.parse(schema)
  if (parts.$ref !== undefined) return `@${parts.$ref.split('/').at(-1)}`
  if (parts.const !== undefined) return JSON.stringify(parts.const)
  if (parts.enum) return parts.enum.map((value) => JSON.stringify(value)).join(' | ')
  const choices = parts.anyOf ?? parts.oneOf
  if (choices) return choices.map((choice) => describeSchema(choice, indent)).join(' | ')
  if (Array.isArray(parts.type)) return parts.type.join(' | ')
  if (parts.type === 'array') return `${bracketed(describeSchema(parts.items ?? {}, indent))}[]`
  if (parts.type === 'object') return describeObject(parts, indent)
  return parts.type ?? 'any'
}

const bracketed = (text: string): string => (text.includes(' | ') ? `(${text})` : text)

function describeObject(
  { properties = {}, required = [], additionalProperties }: z.infer<typeof Parts>,
  indent: string,
): string {
  const inner = `${indent}  `
  const fields = Object.entries(properties).map(([name, field]) => {
    const { description } = Parts.parse(field)
    const optional = required.includes(name) ? '' : '?'
    return `${inner}${name}${optional}: ${describeSchema(field, inner)}${description ? `  // ${description}` : ''}`
  })
  if (typeof additionalProperties === 'object')
    fields.push(`${inner}[name]: ${describeSchema(additionalProperties, inner)}`)
  return fields.length === 0 ? 'object' : `{\n${fields.join('\n')}\n${indent}}`
}
