import * as z from 'zod'

/** Query parameters are text; these read what routes have in common. */
export const offset = z.coerce.number().int().min(0)
export const limit = (most: number) => z.coerce.number().int().min(1).max(most)
export const flag = z.enum(['0', '1', 'true', 'false']).transform((value) => value === '1' || value === 'true')
export const port = z.coerce.number().int().min(1).max(65_535)
export const path = z.string().min(1).describe('absolute, starting with ~, or relative to the home directory')
export const repeated = z
  .union([z.string(), z.array(z.string())])
  .transform((value) => (typeof value === 'string' ? [value] : value))

/** `KEY=value` pairs of a query. */
export const keyValues = repeated.transform((pairs, context) => {
  const entries = pairs.map((pair): [string, string] => {
    const at = pair.indexOf('=')
    if (at <= 0) context.addIssue({ code: 'custom', message: `"${pair}" is not KEY=value` })
    return [pair.slice(0, at), pair.slice(at + 1)]
  })
  return Object.fromEntries(entries)
})

/** What a connection is for that moves files. */
export const forFiles = { use: 'file' } as const
