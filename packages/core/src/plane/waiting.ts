import { GibilError, type Wait } from '@gibil/contract'
import { toError } from '../box/failure.ts'
import type { BoxRecord } from '../box-record.ts'
import type { Context } from './context.ts'

/** Whether the box has come so far: the record, a reason why it never will, or undefined for not yet. */
function reached(record: BoxRecord, wait: Wait): boolean | GibilError {
  const { name, desired, status, readiness, failure } = record
  if (desired === 'gone') return false
  if (wait === 'created') return true
  if (status === 'failed' && failure) return toError(failure, { name })
  if (wait === 'running') {
    if (status === 'running' || status === 'paused') return true
  } else {
    if (readiness === 'failed' && failure) return toError(failure, { name })
    if (readiness === 'ready' && (status === 'running' || status === 'paused')) return true
  }
  if (desired === 'running' || status === 'creating') return false
  if (status !== 'stopped' && status !== 'paused') return false
  return new GibilError('wrong_state', `The box "${name}" was ${status} before it was ${wait}.`, {
    details: { status, name },
  })
}

/**
 * Waits until a box has come so far. Throws the failure of the box when it will not, once nothing is left of a box that is removed for it; the
 * reason of the signal when that ends the waiting.
 */
export function waitFor(context: Context, begin: BoxRecord, wait: Wait, signal?: AbortSignal): Promise<BoxRecord> {
  const { boxes, backoff, stopping } = context
  const { id, name } = begin
  return new Promise((resolve, reject) => {
    let failure = begin.failure
    const ends = [stopping, ...(signal ? [signal] : [])]
    const finish = (end: () => void): void => {
      leave()
      for (const one of ends) one.removeEventListener('abort', abort)
      end()
    }
    const abort = (): void => {
      const reason: unknown = ends.find((one) => one.aborted)?.reason
      finish(() =>
        reject(
          GibilError.is(reason) ? reason : new GibilError('cancelled', 'The waiting was ended.', { cause: reason }),
        ),
      )
    }
    const look = (record: BoxRecord | undefined): void => {
      failure = record?.failure ?? failure
      if (!record || (record.desired === 'gone' && failure && backoff.count(id) > 0)) {
        const gone = new GibilError('wrong_state', `The box "${name}" was destroyed before it was ${wait}.`, {
          details: { name },
        })
        finish(() => reject(failure ? toError(failure, { name }) : gone))
        return
      }
      const result = reached(record, wait)
      if (GibilError.is(result)) finish(() => reject(result))
      else if (result) finish(() => resolve(record))
    }
    const leave = boxes.onChange((changed, record) => {
      if (changed === id) look(record)
    })
    for (const one of ends) one.addEventListener('abort', abort)
    if (ends.some((one) => one.aborted)) return abort()
    // What changed before anyone listened.
    boxes.touch(id).catch((error) => finish(() => reject(GibilError.from(error))))
  })
}
