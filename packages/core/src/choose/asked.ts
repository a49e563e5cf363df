import type { Needs } from '@gibil/contract'

/** What is needed, and what a create alone may ask for. */
export interface Asked extends Needs {
  readonly cloudInit?: boolean
}
export type Need = keyof Asked

const amounts: readonly Need[] = ['size', 'cpu', 'memoryMib', 'diskMib']
const names: Partial<Record<Need, string>> = { memoryMib: 'memory', diskMib: 'disk' }
const flagOf = (need: Need): string =>
  `--${(names[need] ?? need).replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

/** A need as it is said on a command line: `--where here`, `--docker`. A size is one need, however it is said. */
export const saidOf = (need: Need, asked: Asked): string =>
  (need === 'size' ? amounts : [need])
    .filter((each) => asked[each] !== undefined)
    .map((each) => (asked[each] === true ? flagOf(each) : `${flagOf(each)} ${written(each, asked)}`))
    .join(' ')

const written = (need: Need, asked: Asked): string =>
  need === 'memoryMib' || need === 'diskMib' ? `${asked[need]}M` : String(asked[need])
