import * as z from 'zod'
import { ApiError } from './errors.ts'

type Labels = Readonly<Record<string, string>>

const name = '[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?'
const prefix = '(?=[^/]{1,253}/)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*/'
const key = `(?:${prefix})?${name}`
const keyPattern = new RegExp(`^${key}$`)
const valuePattern = new RegExp(`^(?:${name})?$`)

/** Keys: an optional DNS prefix of 253 characters at most, then 63; values: 63 or none. `hetzner.cloud/` is reserved. */
export const labels = z
  .record(z.string(), z.string())
  .refine(
    (all) =>
      Object.entries(all).every(
        ([k, v]) => keyPattern.test(k) && !k.startsWith('hetzner.cloud/') && valuePattern.test(v),
      ),
    'label keys or values are invalid',
  )

const set = new RegExp(`^(${key})\\s+(in|notin)\\s*\\(([^()]*)\\)$`)
const comparison = new RegExp(`^(${key})\\s*(==?|!=)\\s*(${name}|)$`)
const presence = new RegExp(`^(!?)\\s*(${key})$`)

/**
 * Reads `k=v`, `k==v`, `k!=v`, `k`, `!k`, `k in (a,b)`, `k notin (a,b)`, with commas for "and". `!=` and `notin` admit
 * what lacks the key, as they do in Kubernetes. Throws 422 for anything else.
 */
export function parseSelector(text: string): (labels: Labels) => boolean {
  // Commas between parentheses are of a set.
  const terms = text.split(/,(?![^()]*\))/).map((term) => parseTerm(term.trim()))
  return (all) => terms.every((holds) => holds(all))
}

function parseTerm(term: string): (labels: Labels) => boolean {
  const [, setKey, operator, list] = set.exec(term) ?? []
  if (setKey !== undefined && list !== undefined) {
    const values = list.split(',').map((value) => value.trim())
    const within = (all: Labels): boolean => values.includes(all[setKey] ?? '\0')
    return operator === 'in' ? within : (all) => !within(all)
  }
  const [, comparedKey, sign, value] = comparison.exec(term) ?? []
  if (comparedKey !== undefined) return (all) => (all[comparedKey] === value) === (sign !== '!=')
  const [, not, presentKey] = presence.exec(term) ?? []
  if (presentKey !== undefined) return (all) => presentKey in all === (not === '')
  throw new ApiError(422, 'invalid_input', 'label selector is invalid', {
    fields: [{ name: 'label_selector', messages: [`cannot read '${term}'`] }],
  })
}
