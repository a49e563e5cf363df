import { setTimeout as sleep } from 'node:timers/promises'
import { type Box, type BoxHandle, type Event, type Gibil, GibilError, refOf } from '@gibil/sdk'
import { closest, distance } from 'fastest-levenshtein'
import { toolError } from './error.ts'

export interface Found {
  readonly handle: BoxHandle
  readonly box: Box
}

/** The box that is meant. One that is not there is told apart: never was, was destroyed, or is called a little differently. */
export async function findBox(gibil: Gibil, ref: string, signal?: AbortSignal): Promise<Found> {
  try {
    const handle = await gibil.get(ref, { signal })
    return { handle, box: await handle.info() }
  } catch (error) {
    if (!GibilError.is(error) || error.code !== 'box_not_found') throw error
    throw await explained(gibil, ref, error)
  }
}

async function explained(gibil: Gibil, ref: string, error: GibilError): Promise<GibilError> {
  const [boxes, ended] = await Promise.all([gibil.list(), endOf(gibil, ref)])
  const near = nearest(ref, boxes.map(refOf))
  const otherwise = near === undefined ? 'Call box_create to make one, or box_list.' : `Did you mean "${near}"?`
  if (ended === undefined) return toolError('box_not_found', error.message, otherwise)
  const how = ended.expired ? 'its time was over' : ended.reason
  return toolError(
    'box_not_found',
    `The box "${ref}" was destroyed at ${ended.at}: ${how}. What was in it is gone.`,
    `Call box_create to make another${near === undefined ? '.' : `, or use "${near}".`}`,
  )
}

/** The name that was most likely meant: one of which a third of the letters, at most, differs. */
export function nearest(given: string, names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined
  const best = closest(given, [...names])
  return distance(given, best) <= Math.max(1, Math.ceil(given.length / 3)) ? best : undefined
}

/** The daemon sends the events that it keeps at once; when nothing more comes for so long, that was all. */
const quietMs = 300

/** How a box that is gone came to its end, as far as the events that are kept say. */
export async function endOf(
  gibil: Gibil,
  ref: string,
): Promise<{ readonly at: string; readonly expired: boolean; readonly reason: string } | undefined> {
  const stop = new AbortController()
  const source = gibil.events({ after: 0, signal: stop.signal })[Symbol.asyncIterator]()
  let expired = false
  let end: Event | undefined
  try {
    for (;;) {
      const next = source.next()
      next.catch(() => undefined)
      const step = await Promise.race([next, sleep(quietMs, undefined)])
      if (!step || step.done) break
      const { boxName, boxId, type } = step.value
      if (boxName !== ref && boxId !== ref) continue
      if (type === 'box.created') expired = false
      if (type === 'box.expired') expired = true
      if (type === 'box.destroyed') end = step.value
    }
  } catch {
    // It is an error already that this would explain.
  } finally {
    stop.abort()
  }
  return end && { at: end.at, expired, reason: 'somebody destroyed it' }
}
