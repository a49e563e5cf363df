import { type Box, GibilError, nearestOf } from '@gibil/contract'
import type { BoxPlane } from '@gibil/core'

/**
 * A box by its name or id, for who may hear of all boxes of this plane: when there is none, `box_not_found` says that it was destroyed of late, or which name
 * is nearest.
 */
export async function boxNamed(plane: Pick<BoxPlane, 'get' | 'list' | 'ended'>, ref: string): Promise<Box> {
  try {
    return await plane.get(ref)
  } catch (error) {
    if (!GibilError.is(error) || error.code !== 'box_not_found') throw error
    const [ended, boxes] = await Promise.all([plane.ended(ref), plane.list()])
    if (ended) {
      const why = ended.expired ? ', since its lease was over' : ''
      throw new GibilError('box_not_found', `The box "${ended.name}" was destroyed at ${ended.at}${why}.`, {
        hint: `Make a new one: \`gibil create --name ${ended.name}\`.`,
        cause: error,
      })
    }
    const nearest = nearestOf(
      ref,
      boxes.filter(({ owner }) => owner === null).map(({ name }) => name),
    )
    if (nearest === undefined) throw error
    throw new GibilError('box_not_found', error.message, {
      hint: `Did you mean "${nearest}"? \`gibil list\` shows all.`,
      cause: error,
    })
  }
}
