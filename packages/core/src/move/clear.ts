import type { Context } from '../plane/context.ts'

/** Removes what a move has left in the place where the box is not; fine when there is nothing, and again after a crash at any point. */
export async function clearOtherPlace({ boxes, deps, drivers }: Context, id: string): Promise<void> {
  const moving = (await boxes.get(id))?.moving
  if (!moving) return
  await deps.step?.('move.clear')
  await drivers.for(moving.other).destroy(id)
  await deps.step?.('move.cleared')
  await boxes.update(id, () => ({ moving: null }))
}
