import type { Duplex } from 'node:stream'
import { type Box, GibilError } from '@gibil/contract'
import { allow } from '../box/lifecycle.ts'
import type { BoxRecord } from '../box-record.ts'
import type { ConnectOptions } from '../control-plane.ts'
import { abortable } from '../util/timing.ts'
import type { Context } from './context.ts'
import type { Verbs } from './verbs.ts'
import { viewOf } from './view-of.ts'
import { waitFor } from './waiting.ts'

const standsStill = (record: BoxRecord | undefined): boolean =>
  record?.moving ? !record.moving.arrived && record.moving.goesOn !== true : false

/** A box that is being moved answers again when it is there, or here as before. */
async function untilMoved({ boxes }: Context, { id, name }: BoxRecord, signal?: AbortSignal): Promise<BoxRecord> {
  const done = Promise.withResolvers<BoxRecord | undefined>()
  const leave = boxes.onChange((changed, record) => {
    if (changed === id && !standsStill(record)) done.resolve(record)
  })
  try {
    await boxes.touch(id)
    const record = await abortable(done.promise, signal)
    if (record?.status === 'running' || record?.status === 'paused') return record
  } finally {
    leave()
  }
  throw new GibilError('wrong_state', `The box "${name}" did not run any more after its move.`)
}

/** See `ControlPlane.connect`. */
export async function connect(
  context: Context,
  verbs: Verbs,
  ref: string,
  signal: AbortSignal | undefined,
  { quiet = false, use }: ConnectOptions = {},
): Promise<{ box: Box; stream: Duplex }> {
  const { boxes, activity, takeover } = context
  let record = await boxes.find(ref)
  if (record.status !== 'running') {
    await takeover.one(record.id)
    record = await boxes.find(record.id)
  }
  if (allow('connect', record) === 'wait') record = await waitFor(context, record, 'running', signal)
  if (standsStill(record)) record = await untilMoved(context, record, signal)
  if (record.status === 'paused') {
    if (quiet) {
      throw new GibilError('wrong_state', `The box "${record.name}" is paused.`, {
        hint: `Resume it: \`gibil resume ${record.name}\`.`,
      })
    }
    await verbs.resume(record.id)
    record = (await boxes.get(record.id)) ?? record
  }
  // Counted from before the dial, so that an idle limit cannot end the box between.
  const end = quiet ? undefined : activity.open(record.id, use)
  try {
    const stream = await context.boxd.dial(record, signal)
    if (end) stream.once('close', end)
    return { box: viewOf(context, record), stream }
  } catch (error) {
    end?.()
    throw error
  }
}
