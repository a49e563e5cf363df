import { setTimeout as sleep } from 'node:timers/promises'
import { GibilError } from '@gibil/contract'
import { type BoxHandle, createBoxHandle } from '../box/box.ts'
import type { Transport } from '../connect/transport.ts'

/** A daemon on another machine may have a clock that differs by this much. */
export const clockSlackMs = 5000
const askEveryMs = 50

/**
 * Waits for a create that its caller may give up. Giving up the request would leave a box behind, so the request stays open, and
 * `undo` is called until it finds something to destroy or the create has ended by itself. `undo` gets what was made, or
 * else the time at which the create began, so that it never takes an older box of the same name for this one.
 */
export async function undoOnAbort<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  undo: (sinceMs: number, made?: T) => Promise<boolean>,
): Promise<T> {
  if (!signal) return work
  const since = Date.now()
  const aborted = Promise.withResolvers<'aborted'>()
  const onAbort = (): void => aborted.resolve('aborted')
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    const first = await Promise.race([work, aborted.promise])
    if (first !== 'aborted') return first
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
  const settled = work.then(
    (made) => ({ made }),
    (error: unknown) => {
      // Then the name belongs to another box, which is not ours to destroy.
      if (GibilError.is(error) && error.code === 'name_in_use') throw error
      return { made: undefined }
    },
  )
  for (;;) {
    const ended = await Promise.race([settled, sleep(askEveryMs)])
    if ((await undo(since, ended?.made)) || ended) break
  }
  throw new GibilError('cancelled', 'The create was cancelled; nothing of it is left.', { cause: signal.reason })
}

/** Destroys the box of this name that was made since then; false when there is none. */
export async function destroyNamed(transport: Transport, name: string, sinceMs: number): Promise<boolean> {
  try {
    const { id, createdAt } = await createBoxHandle(transport, name).refresh()
    if (Date.parse(createdAt) < sinceMs - clockSlackMs) return false
    return await destroyIfThere(createBoxHandle(transport, id))
  } catch (error) {
    if (GibilError.is(error) && error.code === 'box_not_found') return false
    throw error
  }
}

/** True when there was a box and it is gone. */
export async function destroyIfThere(box: BoxHandle): Promise<boolean> {
  try {
    await box.destroy()
    return true
  } catch (error) {
    if (GibilError.is(error) && error.code === 'box_not_found') return false
    throw error
  }
}
