import { setTimeout as sleep } from 'node:timers/promises'
import type { BoxPlane } from '@gibil/core'
import type { ServerSentEvent } from '../http/event-stream.ts'

const pageBytes = 64 * 1024
const lookEveryMs = 150

/** What set-up prints from an offset on, until it ends or the signal: `log` events, the last of which says `done`. */
export async function* followSetupLog(
  plane: Pick<BoxPlane, 'setupLog'>,
  box: string,
  from: number,
  signal: AbortSignal,
): AsyncGenerator<ServerSentEvent> {
  let offset = from
  while (!signal.aborted) {
    const page = await plane.setupLog(box, offset, pageBytes)
    const whole = page.nextOffset === offset
    offset = page.nextOffset
    // Only an empty page of a finished set-up is the end: a full one may have more behind it.
    if (page.text !== '' || (page.done && whole)) yield { event: 'log', data: { ...page, done: page.done && whole } }
    if (page.done && whole) return
    if (whole) await sleep(lookEveryMs, undefined, { signal }).catch(() => undefined)
  }
}
