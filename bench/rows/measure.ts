import { median } from '../stats.ts'

/** Milliseconds that something took, and what it gave. */
export async function timed<T>(task: () => Promise<T>): Promise<{ ms: number; result: T }> {
  const begun = performance.now()
  const result = await task()
  return { ms: performance.now() - begun, result }
}

/** The same things in another order each round, so that whatever disturbs the machine meets all of them. */
export function* rounds<T>(count: number, things: readonly T[]): Generator<{ round: number; order: readonly T[] }> {
  for (let round = 0; round < count; round += 1) {
    const shift = round % Math.max(1, things.length)
    yield { round, order: [...things.slice(shift), ...things.slice(0, shift)] }
  }
}

/** Samples by name. */
export interface Samples {
  note(name: string, value: number): void
  all(): Readonly<Record<string, readonly number[]>>
  medians(): Readonly<Record<string, number>>
}

export function createSamples(): Samples {
  const kept = new Map<string, number[]>()
  return {
    note(name, value) {
      kept.set(name, [...(kept.get(name) ?? []), value])
    },
    all: () => Object.fromEntries(kept),
    medians: () => Object.fromEntries([...kept].map(([name, values]) => [name, median(values)])),
  }
}

/** The values of a row by system under test: `names` says under which name each has its samples. */
export function pick(
  from: Readonly<Record<string, number>>,
  names: Readonly<Record<string, string>>,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(names).flatMap(([subject, name]) => {
      const value = from[name]
      return value === undefined ? [] : [[subject, value]]
    }),
  )
}
