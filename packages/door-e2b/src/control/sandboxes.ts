import { type Box, GibilError } from '@gibil/contract'
import type { BoxPlane } from '@gibil/core'
import { noSandbox } from '../errors.ts'
import { termsOf } from '../terms.ts'
import { type Sandbox, stateOf } from '../view.ts'

/** The boxes of one key that this door made. Ids may come with the name of a node behind a dash. */
export async function findSandbox(plane: BoxPlane, called: string): Promise<Sandbox> {
  const id = called.split('-')[0] ?? ''
  const box = await plane.get(id).catch((error) => {
    throw GibilError.is(error) && error.code === 'box_not_found' ? noSandbox(id) : error
  })
  const sandbox = asSandbox(box)
  // By its id only: names of boxes are not E2B's.
  if (!sandbox || box.id !== id || stateOf(box) === undefined) throw noSandbox(id)
  return sandbox
}

export function asSandbox(box: Box): Sandbox | undefined {
  const terms = termsOf(box)
  return terms && { box, terms }
}

export async function allSandboxes(plane: BoxPlane): Promise<Sandbox[]> {
  return (await plane.list()).flatMap((box) => asSandbox(box) ?? [])
}
