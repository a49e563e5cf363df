import { GibilError } from '@gibil/contract'
import type { BoxPlane } from '@gibil/core'
import * as z from 'zod'
import { noSandbox } from '../errors.ts'
import { type Sandbox, stateOf } from '../view.ts'
import { defaultTimeout } from './create.ts'
import { findSandbox } from './sandboxes.ts'
import { beginTime, leaseUntilThere } from './time-left.ts'

export const SetTimeout = z.strictObject({ timeout: z.int().min(0) })
export const Refresh = z.strictObject({ duration: z.int().min(0).nullish() })
export const Pause = z.strictObject({ memory: z.boolean().nullish() })
export const Connect = z.strictObject({
  timeout: z.int().positive().nullish(),
  memory: z.boolean().nullish(),
  // Of an older form of the call, which has no other effect than `timeout`.
  autoPause: z.boolean().nullish(),
})

/** Ends a sandbox, and what is kept of a paused one. */
export async function kill(plane: BoxPlane, id: string): Promise<void> {
  const { box } = await findSandbox(plane, id)
  await plane.destroy(box.id)
}

/** The time that it has left from now on; none: it ends as it would at the end of its time. */
export async function setTimeLeft(plane: BoxPlane, id: string, seconds: number): Promise<void> {
  const { box, terms } = await findSandbox(plane, id)
  if (stateOf(box) === 'paused') throw noSandbox(id)
  if (seconds > 0) await plane.extend(box.id, `${seconds}s`)
  else if (terms.autoPause) await halt(plane, box.id, terms.pauseMemory)
  else await plane.destroy(box.id)
}

/** Throws `wrong_state` for one that is paused already. */
export async function pause(plane: BoxPlane, id: string, { memory }: z.infer<typeof Pause>): Promise<void> {
  const { box } = await findSandbox(plane, id)
  if (stateOf(box) === 'paused') throw new GibilError('wrong_state', `Sandbox "${box.id}" is already paused`)
  await halt(plane, box.id, memory ?? true)
}

async function halt(plane: BoxPlane, id: string, memory: boolean): Promise<void> {
  // Its time does not go on while it is paused: a connect gives it a new one.
  await plane.extend(id, 'none')
  await (memory ? plane.pause(id) : plane.stopBox(id))
}

/** Wakes it when it is paused. It ends no sooner than it would have. */
export async function connect(
  plane: BoxPlane,
  id: string,
  { timeout, memory }: z.infer<typeof Connect>,
): Promise<{ readonly sandbox: Sandbox; readonly resumed: boolean }> {
  const found = await findSandbox(plane, id)
  const { box, terms } = found
  const seconds = timeout ?? defaultTimeout
  if (stateOf(box) === 'running') {
    const until = box.lease.expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(box.lease.expiresAt)
    if (Date.now() + seconds * 1000 <= until) return { sandbox: found, resumed: false }
    return { sandbox: { box: await plane.extend(box.id, `${seconds}s`), terms }, resumed: false }
  }
  await wake(plane, found, { seconds, memory: memory ?? true })
  return { sandbox: { box: await plane.get(box.id), terms }, resumed: true }
}

/** Lets a paused sandbox run again, with the memory that it was paused with unless that is not wanted. */
export async function wake(
  plane: BoxPlane,
  { box }: Sandbox,
  { seconds, memory }: { readonly seconds: number; readonly memory: boolean },
): Promise<void> {
  if (box.status === 'paused' && !memory) await plane.stopBox(box.id)
  // Before it runs: one whose lease was over when it was paused must not be found without one.
  await plane.extend(box.id, leaseUntilThere(seconds))
  await (box.status === 'paused' && memory ? plane.resume(box.id) : plane.startBox(box.id))
  await beginTime(plane, box, seconds)
}
