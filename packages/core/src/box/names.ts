import { BoxName, GibilError } from '@gibil/contract'
import type { RandomBytes } from '../ports/random.ts'
import { base32, isBoxId, isSnapshotId } from './ids.ts'

const adjectives = (
  'able agile amber bold brave bright brisk calm clear clever cosy crisp deft eager early fair fast fine fond free fresh ' +
  'gentle glad golden grand happy hardy honest humble jolly keen kind light lively lucky mellow merry mild neat nimble ' +
  'noble patient plain proud quick quiet rapid ready ruby sharp silent silver smart snug solid steady sunny swift tidy ' +
  'vivid warm wise witty young'
).split(' ')
const animals = (
  'ant badger bat bear beaver bee bison boar crab crane crow deer dingo dove duck eagle eel elk falcon ferret finch fox frog ' +
  'gecko goat goose hare hawk hen heron horse ibex ibis jay koala lark lemur lion lynx magpie marten mole moose moth ' +
  'mouse newt otter owl panda perch pike pony puffin quail rabbit raven robin salmon seal shrew sloth snail stork swan ' +
  'tapir tern toad trout vole walrus wasp whale wolf wren yak zebra'
).split(' ')

/** A name that is easy to say and unlikely to be taken, such as `calm-otter-3f2`. */
export function friendlyName(random: RandomBytes): string {
  const [a = 0, b = 0] = random(2)
  return `${adjectives[a % adjectives.length]}-${animals[b % animals.length]}-${base32(random, 3)}`
}

/** Throws `invalid_name` unless it is a DNS label that cannot be mistaken for an id. */
export function checkName(name: string): string {
  if (!BoxName.safeParse(name).success) {
    throw new GibilError('invalid_name', `"${name.slice(0, 80)}" cannot be the name of a box.`, { details: { name } })
  }
  if (isBoxId(name)) {
    throw new GibilError('invalid_name', `"${name}" looks like the id of a box and cannot be a name.`, {
      details: { name },
    })
  }
  return name
}

/** Throws `invalid_name` unless it is a DNS label that cannot be mistaken for an id. */
export function checkSnapshotName(name: string): string {
  if (BoxName.safeParse(name).success && !isSnapshotId(name)) return name
  throw new GibilError('invalid_name', `"${name.slice(0, 80)}" cannot be the name of a snapshot.`, {
    details: { name },
  })
}

/** Throws `invalid_name` unless it is a DNS label. */
export function checkTokenName(name: string): void {
  if (BoxName.safeParse(name).success) return
  throw new GibilError('invalid_name', `"${name.slice(0, 80)}" cannot be the name of a token.`)
}

/** The name of the nth box of a fleet. Throws `invalid_name`. */
export const fleetName = (base: string, index: number): string => checkName(`${base}-${index}`)
