import type { Box } from '@gibil/contract'
import { toBox } from '../box/view.ts'
import type { BoxRecord } from '../box-record.ts'
import type { Context } from './context.ts'

/** The box with what is not in its record: how it is used. */
export const viewOf = ({ activity, awake }: Pick<Context, 'activity' | 'awake'>, record: BoxRecord): Box =>
  toBox(record, activity, awake.view(record))
