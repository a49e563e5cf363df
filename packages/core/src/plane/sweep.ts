import type { Context } from './context.ts'
import type { Reconciler } from './reconciler.ts'

/**
 * Removes what drivers have of boxes that no record knows. What a driver has is asked before the records are: a box is written down
 * before it is made, so that one which is just being made is known by then.
 */
export async function sweep(context: Context, reconciler: Reconciler): Promise<string[]> {
  const removed: string[] = []
  for (const driver of context.drivers.opened()) {
    // What one of them cannot be asked, as a cloud without a network, does not keep the others.
    const boxes = await driver.list().catch((error: unknown) => {
      context.deps.log.warn({ provider: driver.provider, shape: driver.shape, err: error }, 'boxes could not be listed')
      return []
    })
    for (const { id } of boxes) {
      try {
        // Asked before the records are: whatever leaves the pool has a record by then.
        if (context.pool.has(id)) continue
        if (await reconciler.removeOrphan(id, () => driver.destroy(id))) removed.push(id)
      } catch (error) {
        context.deps.log.warn({ box: id, err: error }, 'remains of a box could not be removed')
      }
    }
  }
  return removed
}
