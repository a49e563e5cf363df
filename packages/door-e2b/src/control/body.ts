import { GibilError } from '@gibil/contract'
import type { Context } from 'hono'
import type * as z from 'zod'

/** More than any call of the control plane needs. */
const maxBytes = 1024 * 1024

/** Reads a body of JSON, which may be absent. Throws `invalid_request`, `payload_too_large`. */
export async function readBody<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of c.req.raw.body ?? []) {
    length += piece.length
    if (length > maxBytes) throw new GibilError('payload_too_large', 'The body is longer than 1 MiB.')
    pieces.push(piece)
  }
  return parsed(schema, jsonOf(Buffer.concat(pieces).toString()))
}

function jsonOf(text: string): unknown {
  if (text.trim() === '') return {}
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new GibilError('invalid_request', 'The body is not JSON.', { cause })
  }
}

/** Throws `invalid_request`, and `unsupported_by_door` for what nobody here has heard of. */
export function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  if (issue?.code === 'unrecognized_keys') {
    throw new GibilError('unsupported_by_door', `"${[...issue.path, issue.keys[0]].join('.')}" is not supported here.`)
  }
  const where = issue?.path.join('.') ?? ''
  throw new GibilError('invalid_request', `${where === '' ? '' : `${where}: `}${issue?.message ?? 'not valid'}`)
}
