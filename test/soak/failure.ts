import { inspect, isDeepStrictEqual } from 'node:util'

/** An answer that cannot be true. */
export class SoakFailure extends Error {
  /** What was done to the box before, oldest first. */
  readonly history: readonly string[]

  constructor(message: string, history: readonly string[], options?: ErrorOptions) {
    super(message, options)
    this.name = 'SoakFailure'
    this.history = history
  }
}

export interface History {
  readonly name: string
  readonly history: readonly string[]
}

const show = (value: unknown): string => {
  const text = inspect(value, { depth: 6, breakLength: 120, maxStringLength: 400 })
  return text.length > 2000 ? `${text.slice(0, 2000)}…` : text
}

/** Throws unless what came is what must come. */
export function mustEqual(of: History, what: string, actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return
  throw new SoakFailure(`${of.name}: ${what} is ${show(actual)} and not ${show(expected)}`, of.history)
}

export function must(of: History, what: string, holds: boolean, seen?: unknown): asserts holds {
  if (!holds) throw new SoakFailure(`${of.name}: ${what}${seen === undefined ? '' : `: ${show(seen)}`}`, of.history)
}
