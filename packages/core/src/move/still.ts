import { checkHasState } from '../box/snapshot-rules.ts'
import type { BoxRecord } from '../box-record.ts'
import type { Context } from '../plane/context.ts'
import type { Reconciler } from '../plane/reconciler.ts'
import type { Verbs } from '../plane/verbs.ts'
import type { BoxdPort } from '../ports/boxd.ts'
import { checkRuns } from './move.ts'

export interface StillParts {
  readonly context: Context
  readonly reconciler: Reconciler
  readonly verbs: Pick<Verbs, 'resume'>
}

interface StillBox {
  readonly record: BoxRecord
  readonly boxd: BoxdPort
  /** Aborts when the caller leaves, and when something else is to be done with the box. */
  readonly signal: AbortSignal
}

interface Why {
  /** What is done to it, as in "cannot be …". */
  readonly what: string
  readonly signal: AbortSignal | undefined
}

/** Works with a box whose processes are stopped meanwhile, and go on afterwards. One that is paused is resumed. Throws `wrong_state`. */
export async function whileStill<T>(
  { context, reconciler, verbs }: StillParts,
  ref: string,
  { what, signal: leaving }: Why,
  work: (box: StillBox) => Promise<T>,
): Promise<T> {
  const { boxes, takeover } = context
  const { id } = await boxes.find(ref)
  await takeover.one(id)
  const found = await boxes.find(id)
  checkRuns(found, what)
  if (found.status === 'paused') await verbs.resume(id)
  return reconciler.alone(id, async (stopping) => {
    const record = await boxes.find(id)
    checkHasState(record, what, false)
    checkRuns(record, what)
    const signal = leaving ? AbortSignal.any([leaving, stopping]) : stopping
    const boxd = context.boxd.of(record, signal)
    const goOn = await boxd.standStill()
    try {
      return await work({ record, boxd, signal })
    } finally {
      goOn()
    }
  })
}
