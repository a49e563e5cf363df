import { GibilError } from '@gibil/contract'
import { type Asked, type Need, saidOf } from './asked.ts'
import { type Candidate, candidates } from './candidates.ts'
import type { Room } from './checks.ts'
import { lackOf } from './lack.ts'
import type { Rule } from './rules.ts'

/** Needs that no box meets together, though it would any of them without the others; one alone is met by no box at all. */
interface Clash {
  readonly needs: readonly Need[]
  readonly text: string
}

/** Every smallest set of needs that clash. */
function clashesOf(brought: readonly Rule[], asked: Asked, room: Room): Clash[] {
  const met = new Map<Need, ReadonlySet<Candidate>>()
  for (const need of new Set(brought.map((rule) => rule.need))) {
    const own = brought.filter((rule) => rule.need === need)
    met.set(
      need,
      new Set(candidates.filter((each) => own.every((rule) => lackOf(rule, each, asked, room) === undefined))),
    )
  }
  const meetable = (needs: readonly Need[]): boolean =>
    candidates.some((candidate) => needs.every((need) => met.get(need)?.has(candidate)))
  const found: Need[][] = []
  for (const needs of subsetsBySize([...met.keys()])) {
    const holdsOne = found.some((clash) => clash.every((need) => needs.includes(need)))
    if (!holdsOne && !meetable(needs)) found.push(needs)
  }
  const told = (need: Need): string => {
    const by = [...(met.get(need) ?? [])].map(({ name }) => name)
    return `${saidOf(need, asked)} (${by.length === 0 ? 'had by none' : by.join(', ')})`
  }
  return found.map((needs) => ({ needs, text: needs.map(told).join(' and ') }))
}

/** A clash holds no more needs than there are candidates: each of them is against one at least that the others are not. */
function subsetsBySize(needs: readonly Need[]): Need[][] {
  const subsets: Need[][] = [[]]
  for (const need of needs) {
    for (const subset of [...subsets]) if (subset.length < candidates.length) subsets.push([...subset, need])
  }
  return subsets.slice(1).toSorted((a, b) => a.length - b.length)
}

export function contradiction(brought: readonly Rule[], asked: Asked, room: Room): GibilError {
  const clashes = clashesOf(brought, asked, room)
  const texts = clashes.map(({ text }) => text).join('; ')
  return new GibilError('contradictory_needs', `No box has all that is needed: ${texts}.`, {
    hint: 'Leave out one of those that are joined by "and"; what has each stands in brackets.',
    details: { clashes },
  })
}
