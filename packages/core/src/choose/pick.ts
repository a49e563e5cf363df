import type { Failure, Remark } from '@gibil/contract'
import type { Asked } from './asked.ts'
import { type Candidate, candidates } from './candidates.ts'
import type { Room } from './checks.ts'
import { contradiction } from './contradiction.ts'
import { lackOf } from './lack.ts'
import { type Preference, preferences, type Rule, rules } from './rules.ts'

/** What this host has, and cannot do. */
export interface Host extends Room {
  /** Why boxes of a candidate cannot be made here now. */
  readonly unavailable: (candidate: Candidate) => Failure | null
}

/** A candidate and what it lacks of what is asked. */
export interface Judged {
  readonly candidate: Candidate
  readonly lacks: readonly Remark[]
  readonly unavailable: Failure | null
}

export interface Pick {
  readonly chosen: Judged
  /** The one that would be taken if everything could be made here. */
  readonly best: Judged
  readonly all: readonly Judged[]
  /** The rules that what is asked for brings in; `decides`: it keeps a lighter box from being taken. */
  readonly rules: readonly { readonly rule: Rule; readonly decides: boolean }[]
  readonly preference: Preference | undefined
}

/**
 * The lightest box that lacks nothing, by the table of rules. One that costs money is taken only when no other does, and one that cannot be made here only when
 * no other that does costs as little. Throws `contradictory_needs`, `invalid_duration`.
 */
export function pick(asked: Asked, host: Host): Pick {
  const brought = rules.filter(({ when }) => when(asked))
  const all = candidates.map((candidate): Judged => {
    const lacks = brought.flatMap((rule): Remark[] => {
      const text = lackOf(rule, candidate, asked, host)
      return text === undefined ? [] : [{ need: rule.need, text }]
    })
    return { candidate, lacks, unavailable: host.unavailable(candidate) }
  })
  const preference = preferences.find(({ when }) => when(asked))
  const ranked = all
    .filter(({ lacks }) => lacks.length === 0)
    .toSorted((a, b) => rank(a, preference) - rank(b, preference))
  const chosen = ranked.toSorted((a, b) => cost(a) - cost(b) || absence(a) - absence(b))[0]
  const best = ranked.toSorted((a, b) => cost(a) - cost(b))[0]
  if (!chosen || !best) throw contradiction(brought, asked, host)
  const before = all.slice(0, all.indexOf(chosen))
  const decides = (rule: Rule): boolean =>
    before.some(({ candidate }) => lackOf(rule, candidate, asked, host) !== undefined)
  return {
    chosen,
    best,
    all,
    rules: brought.map((rule) => ({ rule, decides: decides(rule) })),
    preference: chosen.candidate.shape === preference?.shape ? preference : undefined,
  }
}

const cost = ({ candidate }: Judged): number => Number(!candidate.has.includes('costs nothing'))
const absence = ({ unavailable }: Judged): number => Number(unavailable !== null)
/** The preferred shape comes first, else they stay in their order: sorting is stable. */
const rank = ({ candidate }: Judged, preference: Preference | undefined): number =>
  Number(preference !== undefined && candidate.shape !== preference.shape)
