import { type Box, costInWords, formatDuration, leftOf, refOf } from '@gibil/sdk'
import * as z from 'zod'

/** What every result says of its box: how it is, how long it has left, what it costs. */
export const BoxState = z.object({
  name: z.string().describe('what to call the box by'),
  status: z.string().describe('creating, running, paused, stopped, destroying, destroyed or failed'),
  readiness: z.string().describe('how far its set-up has come: creating, cloning, services, tasks, ready or failed'),
  timeLeft: z.string().describe('such as "52m 10s", or "no end"'),
  expiresAt: z.string().nullable(),
  atTheEnd: z.string().describe('what happens when its time is over: destroy, stop or pause'),
  cost: z.string().describe('such as "0.0088 EUR per hour, 0.02 EUR so far", or "nothing"'),
})
export type BoxState = z.infer<typeof BoxState>

export function boxState(box: Box, now = Date.now()): BoxState {
  const { lease, status, readiness } = box
  const left = leftOf(box, now)
  return {
    name: refOf(box),
    status,
    readiness,
    timeLeft: left === undefined ? 'no end' : left > 0 ? formatDuration(left) : 'none',
    expiresAt: lease.expiresAt,
    atTheEnd: lease.onExpire,
    cost: costInWords(box) ?? 'nothing',
  }
}

/** The last line of a result's text. */
export function boxLine({ name, status, readiness, timeLeft, atTheEnd, cost }: BoxState): string {
  const state = status === 'running' ? readiness : status
  const time = timeLeft === 'no end' ? 'no end' : `${timeLeft} left, then ${atTheEnd}`
  return `[box ${name}: ${state}; ${time}; costs ${cost}]`
}
