import { type Box, type Exit, GibilError, type SessionOutcome, type SessionResult } from '@gibil/contract'
import { toFailure } from '../box/failure.ts'
import type { BoxRecord } from '../box-record.ts'
import type { Context } from '../plane/context.ts'
import type { SessionFiles } from '../ports/session-files.ts'
import type { SessionRecord } from '../session-record.ts'
import { abortable } from '../util/timing.ts'
import { lastLines } from './last-lines.ts'
import type { End } from './recorder.ts'
import { fetchResult } from './result.ts'

interface EndingDeps {
  readonly context: Context
  readonly files: SessionFiles
  readonly verbs: {
    pause(ref: string): Promise<Box>
    stopBox(ref: string): Promise<Box>
    destroy(ref: string): Promise<Box>
  }
  /** Whether another session uses the box. */
  readonly isShared: (record: SessionRecord) => Promise<boolean>
}

/** Bytes of a recording from which its last lines are taken. */
const tailBytes = 16 * 1024

export async function linesOf(files: SessionFiles, id: string): Promise<string> {
  const next = await files.nextOffset(id)
  const pieces: Uint8Array[] = []
  for await (const { data } of files.read(id, Math.max(0, next - tailBytes))) pieces.push(data)
  return lastLines(Buffer.concat(pieces).subarray(-tailBytes))
}

function outcomeOf(stopping: boolean, { exitCode, timedOut }: Exit): SessionOutcome {
  if (timedOut) return 'timed-out'
  if (stopping) return 'stopped'
  return exitCode === 0 ? 'done' : 'failed'
}

/** What is to be written down of an agent that has ended. */
export async function ended(files: SessionFiles, record: SessionRecord, end: End): Promise<Partial<SessionRecord>> {
  const how =
    'exit' in end
      ? { exit: end.exit, outcome: outcomeOf(record.stopping, end.exit) }
      : { outcome: 'lost' as const, failure: toFailure(end.lost) }
  return { ...how, state: 'ending', lastLines: await linesOf(files, record.id) }
}

/**
 * Fetches what a session has changed, and does with its box what was asked for. A box whose work could not be fetched is never destroyed. May
 * be repeated. Rejects only when the daemon stops.
 */
export async function finish(deps: EndingDeps, record: SessionRecord): Promise<Partial<SessionRecord>> {
  const { context } = deps
  const { stopping } = context
  const box = await context.boxes.get(record.boxId)
  if (!box || box.desired === 'gone') return {}
  let patch: Partial<SessionRecord>
  try {
    patch = { result: await workOf(deps, record, box) }
  } catch (error) {
    stopping.throwIfAborted()
    patch = { failure: record.failure ?? toFailure(error) }
  }
  if (await deps.isShared(record)) return patch
  const leave = record.onEnd === 'destroy' && (record.outcome === 'lost' || patch.failure) ? 'pause' : record.onEnd
  try {
    await leaveBox(deps, record.boxId, leave)
  } catch (error) {
    stopping.throwIfAborted()
    patch = { failure: toFailure(error), ...patch }
  }
  return patch
}

async function workOf(
  { context, files }: EndingDeps,
  record: SessionRecord,
  box: BoxRecord,
): Promise<SessionResult | null> {
  const { stopping } = context
  if (box.status === 'running') {
    const fetching = fetchResult(context.boxd.of(box, stopping), files, record, box, stopping)
    return abortable(fetching, stopping)
  }
  throw new GibilError('wrong_state', `The box was ${box.status} before the work was fetched from it.`, {
    hint: 'The work is still in it: let it run again, and use `gibil pull`.',
  })
}

async function leaveBox({ verbs, context }: EndingDeps, id: string, how: SessionRecord['onEnd']): Promise<void> {
  if (how === 'destroy') await verbs.destroy(id)
  if (how !== 'pause' || (await context.boxes.get(id))?.status !== 'running') return
  try {
    await verbs.pause(id)
  } catch (error) {
    if (!GibilError.is(error) || error.code !== 'unsupported_by_shape') throw error
    await verbs.stopBox(id)
  }
}
