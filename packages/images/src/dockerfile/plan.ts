import type { Instruction, ParsedDockerfile, ParsedStage } from './parse.ts'
import { failAt } from './parse.ts'
import { expand, type Lookup, splitWords } from './words.ts'

export interface PlannedStage {
  /** Its number, from 0. */
  readonly index: number
  readonly name: string
  readonly from: Instruction
  readonly instructions: readonly Instruction[]
  /** An earlier stage, `scratch`, or the name of an image. */
  readonly base:
    | { readonly kind: 'stage'; readonly index: number }
    | { readonly kind: 'scratch' }
    | { readonly kind: 'image'; readonly ref: string }
}

const readFrom = (
  from: Instruction,
  lookup: Lookup,
  escapeChar: string,
): { ref: string; alias: string | null; platform: string | null } => {
  const words = splitWords(from.rest, escapeChar).map((word) => expand(word, lookup, escapeChar))
  const [ref, as, alias] = words
  const isNamed = words.length === 3 && as?.toLowerCase() === 'as'
  if (ref === undefined || ref === '' || (words.length !== 1 && !isNamed))
    throw failAt(from, 'it must be FROM <image> [AS <name>].')
  const platform = from.flags.find((flag) => flag.name === 'platform')?.value ?? null
  return {
    ref,
    alias: isNamed ? (alias ?? null) : null,
    platform: platform === null ? null : expand(platform, lookup, escapeChar),
  }
}

/** The stage that a name or number means, among those before `index`. */
export const findStage = (stages: readonly PlannedStage[], name: string, index: number): PlannedStage | undefined =>
  stages.slice(0, index).findLast((stage) => stage.name === name.toLowerCase() || String(stage.index) === name)

/** The stages that the last one needs, in order: with what they stand on and copy from. */
export const planStages = (dockerfile: ParsedDockerfile, lookup: Lookup, platform: string): PlannedStage[] => {
  const planned: PlannedStage[] = []
  const plan = ({ from, instructions }: ParsedStage, index: number): PlannedStage => {
    const { ref, alias, platform: wanted } = readFrom(from, lookup, dockerfile.escapeChar)
    if (wanted !== null && wanted !== platform) throw failAt(from, `this machine builds for ${platform} only.`)
    const stage = findStage(planned, ref, index)
    const base = stage
      ? ({ kind: 'stage', index: stage.index } as const)
      : ref === 'scratch'
        ? ({ kind: 'scratch' } as const)
        : ({ kind: 'image', ref } as const)
    return { index, name: (alias ?? String(index)).toLowerCase(), from, instructions, base }
  }
  for (const [index, stage] of dockerfile.stages.entries()) planned.push(plan(stage, index))
  const needed = new Set<number>()
  const need = (stage: PlannedStage): void => {
    if (needed.has(stage.index)) return
    needed.add(stage.index)
    const copied = stage.instructions.flatMap((one) =>
      one.flags.filter((flag) => flag.name === 'from').map((flag) => flag.value ?? ''),
    )
    const sources = copied.map((name) => findStage(planned, name, stage.index))
    const base = stage.base.kind === 'stage' ? [planned[stage.base.index]] : []
    for (const other of [...base, ...sources]) if (other) need(other)
  }
  const last = planned.at(-1)
  if (last) need(last)
  return planned.filter((stage) => needed.has(stage.index))
}
