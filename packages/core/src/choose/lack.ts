import type { Asked } from './asked.ts'
import type { Candidate } from './candidates.ts'
import type { Room } from './checks.ts'
import type { Rule } from './rules.ts'

/** Why a rule is against a candidate; undefined when it is not. */
export function lackOf({ takes, without }: Rule, candidate: Candidate, asked: Asked, room: Room): string | undefined {
  if (takes === 'anything') return undefined
  if (typeof takes === 'function') return takes(candidate, asked, room)
  return candidate.has.includes(takes) ? undefined : (without ?? `has no ${takes}`)
}
