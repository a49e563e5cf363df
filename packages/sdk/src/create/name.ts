import { randomInt } from 'node:crypto'

const qualities =
  'amber bold brave brisk calm clear copper crisp deft early fair fleet glad golden hardy keen kind lively lucid mellow noble quick quiet rapid ready sharp steady sunny swift warm'.split(
    ' ',
  )
const things =
  'anvil badger beacon birch cedar comet delta ember falcon fern finch forge gable harbor heron kiln lark maple meadow otter pebble pine quarry raven reed river sable spruce thorn wren'.split(
    ' ',
  )
const pick = (words: readonly string[]): string => words[randomInt(words.length)] ?? ''

/**
 * A name for a box that was not given one. It is made here, not by the daemon, so that a create which is cancelled midway
 * can be undone: the box is known before the answer comes.
 */
export const randomName = (): string =>
  `${pick(qualities)}-${pick(things)}-${randomInt(36 ** 3)
    .toString(36)
    .padStart(3, '0')}`
