import type { Gibil, Session } from '@gibil/sdk'
import * as z from 'zod'
import { createBounded } from '../results/bounded.ts'
import { BoxState } from '../results/box.ts'
import { toolError } from '../results/error.ts'
import { boxLineOf, boxOf, findSession, readable, SessionState, sessionLine, sessionState } from '../results/session.ts'
import { looks, removes, runs, type Tool, type ToolCall, tool } from '../tool.ts'
import { maxBytes, waitSeconds } from './fields.ts'

export const sessionRef = z.string().min(1).describe('id of the session, or the name of its box')

const listed = 50
const sayEveryMs = 5000
/** After an answer: what follows within so long of what came before belongs to it. */
const restMs = 1000

const ofOne = { ...SessionState.shape, boxState: BoxState.nullable().describe('null: its box is gone') }

export const sessionList: Tool = tool({
  name: 'session_list',
  title: 'List sessions',
  description: 'Agents at their tasks, newest first: what runs and how long it is quiet, how the others ended.',
  effect: looks,
  input: z.object({
    running: z.boolean().default(false).describe('only those that have not ended'),
    cursor: z.string().optional().describe('nextCursor of the page before'),
  }),
  output: z.object({ sessions: z.array(SessionState), total: z.int(), nextCursor: z.string().nullable() }),
  async handle({ running, cursor }, { gibil, signal }) {
    const found = (await gibil.sessions.list({ signal })).filter(({ state }) => !running || state !== 'ended')
    const all = found.reverse().map(sessionState)
    const start = Math.max(0, Number(cursor ?? 0) || 0)
    const sessions = all.slice(start, start + listed)
    const nextCursor = start + listed < all.length ? String(start + listed) : null
    const lines = sessions.map((one) => `${sessionLine(one)} ${one.task}\n${one.lastLines}`.trim())
    const more = nextCursor === null ? [] : [`more: call again with cursor "${nextCursor}"`]
    return {
      data: { sessions, total: all.length, nextCursor },
      text: [...lines, ...more].join('\n') || 'There are none. Call session_start.',
    }
  },
})

export const sessionOutput: Tool = tool({
  name: 'session_output',
  title: 'Output and state of a session',
  description:
    'What an agent printed, the end of it or from offset on, without colours, and how it is. waitSeconds waits for its end. One that is quiet with a question as its last line waits for session_answer.',
  effect: looks,
  input: z.object({
    session: sessionRef,
    offset: z.int().min(0).optional().describe('first byte; nextOffset of the result before goes on where that ended'),
    waitSeconds: waitSeconds(0, 600),
    maxBytes,
  }),
  output: z.object({
    ...ofOne,
    output: z.string(),
    offset: z.int().describe('of the first byte of output'),
    nextOffset: z.int(),
    lostBytes: z.int().describe('asked for, and no longer kept'),
  }),
  async handle({ session: ref, offset, waitSeconds: seconds, maxBytes: most }, call) {
    const { gibil, signal } = call
    const { id } = await findSession(gibil, ref, signal)
    await untilEnded(id, seconds, call)
    const session = await gibil.sessions.get(id, { signal })
    const from = offset ?? Math.max(0, session.outputBytes - most)
    const page = await gibil.sessions.output(id, { offset: from, limit: most, signal })
    const { data, lines } = await stateOf(gibil, session, signal)
    const output = readable(page.text)
    const left = session.outputBytes - page.nextOffset
    const more = left > 0 ? `[${left} bytes more: offset ${page.nextOffset}]` : ''
    const lost = page.lost > 0 ? `[${page.lost} bytes before this are no longer kept]` : ''
    return {
      data: { ...data, output, offset: from + page.lost, nextOffset: page.nextOffset, lostBytes: page.lost },
      text: [lost, output.trimEnd(), more, nextOf(session), ...lines].filter(Boolean).join('\n'),
    }
  },
})

export const sessionAnswer: Tool = tool({
  name: 'session_answer',
  title: 'Answer an agent',
  description: 'Types a text, and Enter, into the terminal of an agent that runs; answers with what it printed then.',
  effect: runs,
  input: z.object({
    session: sessionRef,
    text: z.string().max(32_768),
    enter: z.boolean().default(true).describe('press Enter after it'),
    waitSeconds: waitSeconds(10, 120),
    maxBytes,
  }),
  output: z.object({ ...ofOne, output: z.string() }),
  async handle({ session: ref, text, enter, waitSeconds: seconds, maxBytes: most }, call) {
    const { gibil, signal } = call
    const { id, state, job, box, outputBytes } = await findSession(gibil, ref, signal)
    if (state !== 'running' || job === null) {
      throw toolError(
        'wrong_state',
        `The agent of ${id} does not run: it is ${state}.`,
        'Call session_output for what it printed and how it ended.',
      )
    }
    await gibil.box(box.id).jobs.write(job, enter ? `${text}\r` : text)
    const kept = createBounded(most)
    const until = Date.now() + seconds * 1000
    for (let offset = outputBytes; ; ) {
      const left = until - Date.now()
      const waitMs = Math.max(0, Math.round(kept.bytes === 0 ? left : Math.min(left, restMs)))
      const page = await gibil.sessions.output(id, { offset, waitMs, signal })
      kept.add(Buffer.from(page.text))
      if (page.done || page.text === '' || left <= 0) break
      offset = page.nextOffset
    }
    const output = readable(kept.text((left) => `[… ${left} bytes left out …]`))
    const { data, lines } = await stateOf(gibil, await gibil.sessions.get(id, { signal }), signal)
    return { data: { ...data, output }, text: [output.trimEnd(), ...lines].join('\n') }
  },
})

export const sessionStop: Tool = tool({
  name: 'session_stop',
  title: 'Stop an agent',
  description: 'Ends an agent, kills it after five seconds, and answers when its work was fetched: session_result.',
  effect: removes,
  input: z.object({ session: sessionRef }),
  output: z.object(ofOne),
  async handle({ session: ref }, { gibil, signal }) {
    const { id } = await findSession(gibil, ref, signal)
    const session = await gibil.sessions.stop(id, { signal })
    const { data, lines } = await stateOf(gibil, session, signal)
    return { data, text: [nextOf(session), ...lines].filter(Boolean).join('\n') }
  },
})

async function stateOf(gibil: Gibil, session: Session, signal: AbortSignal) {
  const state = sessionState(session)
  const box = await boxOf(gibil, session, signal)
  return { data: { ...state, boxState: box }, lines: [sessionLine(state), boxLineOf(box)] }
}

const nextOf = ({ result, id }: Session): string =>
  result === null ? '' : `next: session_result with session "${id}": it changed something`

/** Waits for the end of a session, for so many seconds at most. */
async function untilEnded(id: string, seconds: number, { gibil, signal, say }: ToolCall): Promise<void> {
  if (seconds === 0) return
  const limit = AbortSignal.timeout(Math.max(1, Math.round(seconds * 1000)))
  const began = Date.now()
  const told = setInterval(() => say(`it runs, ${Math.round((Date.now() - began) / 1000)} s`), sayEveryMs)
  try {
    await gibil.sessions.wait(id, { signal: AbortSignal.any([limit, signal]) })
  } catch (error) {
    if (!limit.aborted || signal.aborted) throw error
  } finally {
    clearInterval(told)
  }
}
