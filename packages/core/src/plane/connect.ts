import type { Duplex } from 'node:stream'
import { type Box, GibilError } from '@gibil/contract'
import { allow } from '../box/lifecycle.ts'
import type { ConnectOptions } from '../control-plane.ts'
import type { Context } from './context.ts'
import type { Verbs } from './verbs.ts'
import { viewOf } from './view-of.ts'
import { waitFor } from './waiting.ts'

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
