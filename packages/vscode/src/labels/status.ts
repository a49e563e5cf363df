import { type Box, leftOf, refOf } from '@gibil/sdk'
import type { Seen } from '../daemon/watch.ts'
import { coarse, timeLeft } from './time.ts'

export interface StatusText {
  readonly text: string
  readonly tooltip: string
  /** A box ends soon. */
  readonly urgent: boolean
}

/** What the status bar says. `ending`: the boxes that end soon. */
export function statusText({ state, boxes, problem }: Seen, ending: readonly Box[], now: number): StatusText {
  if (state !== 'connected') {
    const tooltip = problem ? `${problem.message} ${problem.hint}` : 'Looking for the daemon of Gibil.'
    return { text: '$(debug-disconnect) Gibil', tooltip, urgent: false }
  }
  const lines = boxes.map((box) => `${refOf(box)}: ${box.status}, ${timeLeft(box, now)}`)
  const tooltip = lines.length > 0 ? lines.join('\n') : 'No boxes.'
  const [first] = [...ending].sort((a, b) => (leftOf(a, now) ?? 0) - (leftOf(b, now) ?? 0))
  if (first) return { text: `$(watch) ${refOf(first)}: ${coarse(leftOf(first, now) ?? 0)}`, tooltip, urgent: true }
  return {
    text: `$(server-environment) ${boxes.length} ${boxes.length === 1 ? 'box' : 'boxes'}`,
    tooltip,
    urgent: false,
  }
}
