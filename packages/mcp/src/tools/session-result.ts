import type { Session } from '@gibil/sdk'
import * as z from 'zod'
import { wholeEnd } from '../results/bounded.ts'
import { toolError } from '../results/error.ts'
import { findSession, SessionState, sessionLine, sessionState } from '../results/session.ts'
import { adds, looks, type Tool, tool } from '../tool.ts'
import { maxBytes } from './fields.ts'
import { localPath } from './local-path.ts'
import { sessionRef } from './sessions.ts'

export const sessionResult: Tool = tool({
  name: 'session_result',
  title: 'Work of a session',
  description:
    'What an agent that has ended changed in its repository, as a patch for `git apply`, also when its box is gone. A part at a time: nextOffset goes on.',
  effect: looks,
  input: z.object({
    session: sessionRef,
    offset: z.int().min(0).default(0).describe('first byte of the patch; nextOffset of the result before'),
    maxBytes,
  }),
  output: z.object({
    ...SessionState.shape,
    commit: z.string().nullable().describe('all of its work; null: it changed nothing'),
    base: z.string().nullable().describe('the commit that it began at'),
    uncommitted: z.boolean().describe('whether the last commit is what it had left uncommitted'),
    patch: z.string(),
    nextOffset: z.int().nullable().describe('null: this was the end of the patch'),
  }),
  async handle({ session: ref, offset, maxBytes: most }, { gibil, signal }) {
    const session = ended(await findSession(gibil, ref, signal))
    const state = sessionState(session)
    const { result } = session
    if (result === null) {
      const nothing = { commit: null, base: null, uncommitted: false, patch: '', nextOffset: null }
      return { data: { ...state, ...nothing }, text: `It changed nothing that is known.\n${sessionLine(state)}` }
    }
    const { commit, base, uncommitted, commits, patchBytes } = result
    const bytes = await partOf(await gibil.sessions.patch(session.id, { signal }), offset, most)
    const nextOffset = offset + bytes.length < patchBytes ? offset + bytes.length : null
    const patch = bytes.toString('utf8')
    const more = nextOffset === null ? '' : `[${patchBytes - nextOffset} bytes more: offset ${nextOffset}]`
    const what = `[${commits} commits, ${commit.slice(0, 12)}${uncommitted ? ', the last is what was left uncommitted' : ''}]`
    return {
      data: { ...state, commit, base, uncommitted, patch, nextOffset },
      text: [patch, more, what, sessionLine(state)].filter(Boolean).join('\n'),
    }
  },
})

export const sessionBranch: Tool = tool({
  name: 'session_branch',
  title: 'Work of a session as a branch',
  description:
    'Fetches the commits of an agent that has ended into a new branch of a repository of this machine, which it was started from. Nothing is checked out or merged: look at them before they are run.',
  effect: adds,
  local: true,
  input: z.object({
    session: sessionRef,
    repo: z.string().default('.').describe('path of the repository on this machine'),
    branch: z.string().optional().describe('default gibil/<box>'),
  }),
  output: z.object({ ...SessionState.shape, branch: z.string(), commit: z.string() }),
  async handle({ session: ref, repo, branch: wanted }, { gibil, local, signal }) {
    const session = ended(await findSession(gibil, ref, signal))
    const branch = wanted ?? `gibil/${session.box.name}`
    const commit = await gibil.sessions.branch(session.id, branch, await localPath(repo, local ?? ''), { signal })
    const state = sessionState(session)
    return {
      data: { ...state, branch, commit },
      text: `${branch} is ${commit.slice(0, 12)}; next: git log ..${branch}\n${sessionLine(state)}`,
    }
  },
})

function ended(session: Session): Session {
  if (session.state === 'ended') return session
  throw toolError(
    'wrong_state',
    `The session ${session.id} has not ended: it is ${session.state}.`,
    'Call session_output with waitSeconds, or session_stop.',
  )
}

/** A part of a stream, without halves of characters at its ends unless nothing else is there. */
async function partOf(chunks: AsyncIterable<Uint8Array>, offset: number, most: number): Promise<Buffer> {
  const taken: Uint8Array[] = []
  let at = 0
  let left = most
  for await (const chunk of chunks) {
    const part = chunk.subarray(Math.max(0, offset - at)).subarray(0, left)
    at += chunk.byteLength
    left -= part.byteLength
    taken.push(part)
    if (left === 0) break
  }
  const bytes = Buffer.concat(taken)
  const whole = wholeEnd(bytes)
  return whole.length > 0 ? whole : bytes
}
