import { type Box, type BoxHandle, errorTable, GibilError, refOf } from '@gibil/sdk'
import { describeError } from './output/report-error.ts'
import { clean } from './output/text.ts'
import type { Session } from './session.ts'

export interface TargetOptions {
  /** The word in the success line, such as `destroyed`. */
  readonly done: string
  /** A box that is not there is no failure. */
  readonly ifExists?: boolean | undefined
  /** Give the answer as a list although there is only one. */
  readonly many?: boolean | undefined
}

interface Failed {
  readonly ref: string
  readonly error: GibilError
}

/**
 * Does one thing to several boxes at the same time and reports each. One box answers as a Box, several as
 * `{boxes, failures}`. Answers with the exit status: that of the failures when they agree, else 1.
 */
export async function eachBox(
  session: Session,
  refs: readonly string[],
  options: TargetOptions,
  work: (box: BoxHandle) => Promise<Box>,
): Promise<number> {
  const unique = [...new Set(refs)]
  const single = unique.length === 1 && !options.many
  const boxes: Box[] = []
  const failures: Failed[] = []
  await Promise.all(
    unique.map(async (ref) => {
      try {
        const box = await work(session.gibil.box(ref))
        boxes.push(box)
        session.note(`${session.colors.green('✓')} ${clean(refOf(box))} ${options.done}\n`)
      } catch (thrown) {
        const error = GibilError.from(thrown)
        if (options.ifExists && error.code === 'box_not_found') {
          session.note(`${clean(ref)} was not there\n`)
          return
        }
        failures.push({ ref, error })
        if (!single) session.note(describeError(error, session))
      }
    }),
  )
  const only = failures[0]
  if (single && only) throw only.error
  if (session.json) {
    const told = failures.map(({ ref, error }) => ({ name: ref, ...error.toBody().error }))
    session.emit(single ? (boxes[0] ?? null) : { boxes, failures: told }, '')
  }
  const statuses = new Set(failures.map(({ error }) => errorTable[error.code].exit))
  const [first] = statuses
  return statuses.size > 1 ? 1 : (first ?? 0)
}
