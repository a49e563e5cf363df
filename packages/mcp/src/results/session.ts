import { stripVTControlCharacters } from 'node:util'
import { formatDuration, type Gibil, GibilError, refOf, type Session } from '@gibil/sdk'
import * as z from 'zod'
import { type BoxState, boxLine, boxState } from './box.ts'
import { toolError } from './error.ts'
import { nearest } from './find.ts'

/** What every result says of a session. */
export const SessionState = z.object({
  session: z.string().describe('what to call the session by'),
  box: z.string().describe('name of its box, which may be gone'),
  agent: z.string(),
  task: z.string(),
  state: z.string().describe('starting, running, ending (its work is fetched) or ended'),
  outcome: z
    .string()
    .nullable()
    .describe('done, failed, stopped, timed-out or lost (with its box); null: it has not ended'),
  exitCode: z.int().nullable(),
  quietSeconds: z
    .int()
    .nullable()
    .describe('printed nothing for so long: it thinks, hangs or waits for an answer; null: it does not run'),
  lastLines: z.string().describe('the end of what it printed'),
  outputBytes: z.int(),
  changed: z
    .object({ commits: z.int(), patchBytes: z.int() })
    .nullable()
    .describe('what session_result answers with; null: nothing, or it has not ended'),
  failure: z.string().nullable().describe('what went wrong beside the agent'),
})
export type SessionState = z.infer<typeof SessionState>

export function sessionState(session: Session): SessionState {
  const { id, box, owner, agent, task, state, outcome, exit } = session
  const { quietSeconds, lastLines, outputBytes, result, failure } = session
  return {
    session: id,
    box: refOf({ name: box.name, owner }),
    agent,
    task: task.slice(0, 500),
    state,
    outcome,
    exitCode: exit?.exitCode ?? null,
    quietSeconds: quietSeconds === null ? null : Math.floor(quietSeconds),
    lastLines,
    outputBytes,
    changed: result && { commits: result.commits, patchBytes: result.patchBytes },
    failure: failure?.message ?? null,
  }
}

/** Such as `[session se… in w: running, quiet for 12s]`. */
export function sessionLine({ session, box, state, outcome, exitCode, quietSeconds, failure }: SessionState): string {
  const quiet = quietSeconds ? `, quiet for ${formatDuration(quietSeconds * 1000)}` : ''
  const end = outcome === 'failed' && exitCode !== null ? `failed with exit code ${exitCode}` : outcome
  const how = outcome === null ? `${state}${quiet}` : `${end}${state === 'ending' ? ', its work is being fetched' : ''}`
  return `[session ${session} in ${box}: ${how}${failure === null ? '' : `; ${failure}`}]`
}

/** The box of a session with what it costs; null when it is gone. */
export async function boxOf(gibil: Gibil, { box }: Session, signal?: AbortSignal): Promise<BoxState | null> {
  try {
    return boxState(await gibil.box(box.id).refresh({ signal }))
  } catch (error) {
    if (GibilError.is(error) && error.code === 'box_not_found') return null
    throw error
  }
}

export const boxLineOf = (box: BoxState | null): string => (box === null ? '[its box is gone]' : boxLine(box))

/** The session that is meant; one that is not there is told with those that are. */
export async function findSession(gibil: Gibil, ref: string, signal?: AbortSignal): Promise<Session> {
  try {
    return await gibil.sessions.get(ref, { signal })
  } catch (error) {
    if (!GibilError.is(error) || error.code !== 'session_not_found') throw error
    const all = await gibil.sessions.list({ signal })
    const near = nearest(
      ref,
      all.flatMap(({ id, box }) => [id, box.name]),
    )
    const otherwise = all.length === 0 ? 'Call session_start to start one.' : 'Call session_list.'
    throw toolError('session_not_found', error.message, near === undefined ? otherwise : `Did you mean "${near}"?`)
  }
}

/** What a terminal was given as a reader sees it: without colours and moves, and of a line that was written over its last form. */
export const readable = (text: string): string =>
  stripVTControlCharacters(text)
    .replaceAll(/\r+\n/g, '\n')
    .replaceAll(/[^\n]*\r(?=[^\n])/g, '')
