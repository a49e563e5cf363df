import { GibilError } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'
import type { Context } from './context.ts'
import { deadlineOfSpec } from './spec.ts'

/** What the provider of a box was told last, if it has one, is not when its lease ends. */
export const isBehind = (record: BoxRecord): boolean =>
  record.deadlineTold !== undefined && record.deadlineTold !== deadlineOfSpec(record) && record.status !== 'destroying'

/**
 * Tells the provider of a box when its lease ends, where others than this daemon may end it. Does nothing when it knows already. Throws what the
 * driver throws; the next look at everything tries again.
 */
export async function tellDeadline({ boxes, drivers }: Context, record: BoxRecord): Promise<BoxRecord> {
  const driver = drivers.for(record)
  if (!driver.setDeadline || !isBehind(record)) return record
  const deadline = deadlineOfSpec(record)
  try {
    await driver.setDeadline(record.id, deadline)
  } catch (error) {
    throw GibilError.from(error, 'driver_failed')
  }
  return (await boxes.update(record.id, () => ({ deadlineTold: deadline }))) ?? record
}
