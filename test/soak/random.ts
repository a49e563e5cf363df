/** What is drawn by chance; the same again for the same seed. */
export interface Random {
  /** A whole number from `min` to `max`, both included. */
  int(min: number, max: number): number
  chance(probability: number): boolean
  pick<T>(items: readonly [T, ...T[]]): T
  bytes(length: number): Buffer
  /** Lower case letters and digits, beginning with a letter. */
  word(length: number): string
  /** Text of one to four bytes a character in UTF-8, quotes and line ends among them. */
  text(length: number): string
}

const letters = 'abcdefghijklmnopqrstuvwxyz0123456789'
const characters = [
  'a',
  'Z',
  '0',
  ' ',
  '\n',
  '\t',
  '"',
  "'",
  '\\',
  '$',
  '`',
  '%',
  'é',
  'ß',
  '漢',
  '😀',
  '\u0001',
] as const

/** The generator mulberry32 of Tommy Ettinger: 32 bits of state are enough to choose what to do next. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1))
  const pick = <T>(items: readonly [T, ...T[]]): T => items[int(0, items.length - 1)] ?? items[0]
  return {
    int,
    pick,
    chance: (probability) => next() < probability,
    bytes(length) {
      const buffer = Buffer.allocUnsafe(length)
      let at = 0
      for (; at + 4 <= length; at += 4) buffer.writeUInt32LE(Math.floor(next() * 2 ** 32), at)
      for (; at < length; at += 1) buffer[at] = int(0, 255)
      return buffer
    },
    word: (length) =>
      Array.from({ length }, (_, index) => letters[int(0, index === 0 ? 25 : letters.length - 1)]).join(''),
    text: (length) => Array.from({ length }, () => pick(characters)).join(''),
  }
}
