import { type Box, GibilError } from '@gibil/contract'
import { checkFitsBox, checkHasState } from '../box/snapshot-rules.ts'
import { renewedLease } from '../lease/terms.ts'
import type { Context } from './context.ts'
import type { Reconciler } from './reconciler.ts'
import { noSuchSnapshot, type SnapshotRecords } from './snapshot-records.ts'
import { viewOf } from './view-of.ts'

/** Puts a box back to a snapshot. See `BoxPlane.restore`. */
export async function restore(
  context: Context,
  records: SnapshotRecords,
  reconciler: Reconciler,
  isSettingUp: (id: string) => boolean,
  ref: string,
  snapshotRef: string,
): Promise<Box> {
  const { backoff, boxes, deps, drivers } = context
  const { id } = await boxes.find(ref)
  await context.takeover.one(id)
  const record = await boxes.find(id)
  const { id: snapshotId, owner } = await records.find(snapshotRef, record.owner)
  // The administrator finds everybody's by its id.
  if (owner !== record.owner) throw noSuchSnapshot(snapshotRef)
  if (!drivers.for(record).restore) {
    throw new GibilError('unsupported_by_shape', `A box of shape ${record.shape} cannot be restored.`)
  }
  await records.using(snapshotId, async (snapshot) => {
    await boxes.update(id, (latest) => {
      checkHasState(latest, 'restored', isSettingUp(id))
      checkFitsBox(latest, snapshot)
      return { restoring: snapshotId, desired: 'running', ...renewedLease(latest, 'running', deps.clock.now()) }
    })
    backoff.clear(id)
    await reconciler.converge(id)
  })
  return viewOf(context, (await boxes.get(id)) ?? record)
}
