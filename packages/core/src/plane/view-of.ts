import type { Box } from '@gibil/contract'
import { toBox } from '../box/view.ts'
import type { BoxRecord } from '../box-record.ts'
import type { Context } from './context.ts'

/** The box with what is not in its record: how it is used, and what it has cost until now. */
export const viewOf = (
  { activity, awake, deps }: Pick<Context, 'activity' | 'awake' | 'deps'>,
  record: BoxRecord,
): Box => toBox(record, deps.clock.now(), activity, awake.view(record))
