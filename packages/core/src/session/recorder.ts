import { type Exit, GibilError, type Job } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'
import type { Context } from '../plane/context.ts'
import type { SessionFiles } from '../ports/session-files.ts'
import type { SessionRecord } from '../session-record.ts'
import { abortable, sleep } from '../util/timing.ts'
import { createPulse } from './pulse.ts'

/** Kept by boxd of what an agent prints while nobody records it, as when the daemon is away: half of what one may keep. */
export const ringBytes = 8 * 1024 * 1024

const pageBytes = 1024 * 1024
const waitMs = 20_000
/** Between two looks at an agent that prints: so many look-ups a second at most, and 20 MB/s of a flood. */
const restMs = 50
const firstPauseMs = 100
const longestPauseMs = 5000

/** How the process of an agent went. */
export type End = { readonly exit: Exit } | { readonly lost: GibilError }

/** The label of the job of an agent, by which it is found again. */
export const sessionLabel = (id: string): string => `session ${id}`

/**
 * Writes down what an agent prints until it has ended, wherever it was before: boxd keeps output with its times while nobody records. Rejects
 * only when the daemon stops.
 */
export async function record(
  context: Context,
  files: SessionFiles,
  { id, jobId, boxId, startedAt }: SessionRecord,
  onOutput: () => void,
): Promise<End> {
  const { boxes, deps, stopping } = context
  const changes = createPulse(deps.clock)
  const leave = boxes.onChange((changed) => {
    if (changed === boxId) changes.beat()
  })
  let pause = firstPauseMs
  let known = false
  try {
    for (;;) {
      stopping.throwIfAborted()
      const box = await boxes.get(boxId)
      const over = box ? whyOver(box) : lost('its box is gone')
      if (over) return { lost: over }
      if (box?.status !== 'running') {
        await changes.next(waitMs, stopping)
        continue
      }
      try {
        const boxd = context.boxd.of(box, stopping)
        if (!known) known = isOurs(await boxd.jobs(), jobId, id)
        if (!known) return { lost: lost('its box was started anew') }
        const offset = await files.nextOffset(id)
        const reading = boxd.timedOutput(jobId ?? '', { offset, waitMs, limit: pageBytes })
        const page = await abortable(reading, stopping)
        const now = deps.clock.now() - (startedAt ?? 0)
        await files.append(
          id,
          page.chunks.map(({ offset: at, ms, data }) => ({ offset: at, ms: ms ?? now, data })),
        )
        pause = firstPauseMs
        if (page.chunks.length > 0) onOutput()
        if (page.exit) return endOf(page.exit, await boxes.get(boxId))
        if (page.chunks.length > 0) await sleep(deps.clock, restMs, stopping)
      } catch (error) {
        stopping.throwIfAborted()
        // A box that started anew knows nothing of it: that is looked at again.
        known = false
        deps.log.debug(
          { session: id, box: boxId, err: error },
          'the output of a session could not be read; it is tried again',
        )
        await changes.next(pause, stopping)
        pause = Math.min(longestPauseMs, pause * 2)
      }
    }
  } finally {
    leave()
  }
}

const isOurs = (jobs: readonly Job[], jobId: string | null, id: string): boolean =>
  jobs.some((job) => job.id === jobId && job.label === sessionLabel(id))

/** A signal that came with the end of its box is that of the box: boxd may still tell of it, or be gone before it can. */
function endOf(exit: Exit, box: BoxRecord | undefined): End {
  if (exit.signal === null || exit.timedOut) return { exit }
  const over = box ? whyEnding(box) : lost('its box is gone')
  return over ? { lost: over } : { exit }
}

function whyEnding(box: BoxRecord): GibilError | undefined {
  if (box.desired === 'stopped') return lost('its box was stopped')
  if (box.restart || box.remake || box.restoring) return lost('its box was started anew')
  return whyOver(box)
}

/** A paused box goes on one day; one that is off has ended what ran in it. */
function whyOver({ status, desired }: BoxRecord): GibilError | undefined {
  if (desired === 'gone') return lost('its box is being destroyed')
  if (status === 'stopped') return lost('its box was stopped')
  if (status === 'failed') return lost('its box failed')
  return undefined
}

const lost = (why: string): GibilError =>
  new GibilError('interrupted', `The agent was lost: ${why}.`, {
    hint: 'What it printed until then is in `gibil session logs`. Start another session for the same task.',
  })
