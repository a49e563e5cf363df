import { type ErrorCode, GibilError } from '@gibil/contract'
import type * as z from 'zod'

/** Fields whose wrong values have a code of their own in the error table. */
const codes: Readonly<Record<string, ErrorCode>> = {
  name: 'invalid_name',
  size: 'invalid_size',
  cpu: 'invalid_size',
  memoryMib: 'invalid_size',
  diskMib: 'invalid_size',
  ttl: 'invalid_duration',
  idle: 'invalid_duration',
}
const issuesShown = 5

/** The value as the schema reads it. Throws `invalid_request`, or the code of the field, naming what does not fit. */
export function checked<T>(schema: z.ZodType<T>, value: unknown, place: 'path' | 'query' | 'body'): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issues = result.error.issues.map((issue) => ({
    field: issue.path.map(String).join('.'),
    problem: issue.message,
  }))
  const first = issues[0]?.field ?? ''
  const onlyOne = issues.every((issue) => issue.field === first)
  const code = (place === 'body' && onlyOne && codes[first]) || 'invalid_request'
  const shown = issues.slice(0, issuesShown).map(({ field, problem }) => `${field || `the ${place}`}: ${problem}`)
  throw new GibilError(code, `The ${place} does not fit: ${shown.join('; ')}.`, { details: { place, issues } })
}
