import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Session, SessionOutput, StartSession } from '@gibil/contract'
import * as z from 'zod'
import { json, type Route, route, stream, written } from '../http/route.ts'
import { limit, offset } from './query.ts'

const tag = 'sessions'
const waitMs = z.coerce.number().int().min(0).max(60_000)
const defaultBytes = 64 * 1024

/** What a box has made is never a page of ours, whatever its bytes are. */
const headers = { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' }

export const sessionRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/sessions',
    id: 'startSession',
    tag,
    summary: 'Start an agent at a task in a box',
    description:
      'Answers once it runs, in a terminal of its own that outlives every connection. An agent that is known is installed first where the box has it not. The values of `env` reach the agent and are kept nowhere.',
    body: StartSession,
    answer: json(Session, 201),
    errors: ['box_not_found', 'wrong_state', 'command_failed', 'command_not_found', 'invalid_duration', 'disk_full'],
    handle: async ({ body, signal }, { plane }) => plane.sessions.start(body, { signal }),
  }),
  route({
    method: 'get',
    path: '/sessions',
    id: 'listSessions',
    tag,
    summary: 'List sessions, oldest first',
    description: 'The last 200 that ended are kept, also when their boxes are gone.',
    answer: json(z.array(Session)),
    handle: async (_, { plane }) => plane.sessions.list(),
  }),
  route({
    method: 'get',
    path: '/sessions/{session}',
    id: 'getSession',
    tag,
    summary: 'Show a session',
    description: 'By its id, or by the name of a box: its newest session.',
    query: z.strictObject({ waitMs: waitMs.optional().describe('waits so long for its end') }),
    answer: json(Session),
    errors: ['session_not_found'],
    handle: async ({ param, query, signal }, { plane }) =>
      plane.sessions.get(param('session'), { waitMs: query.waitMs ?? 0, signal }),
  }),
  route({
    method: 'get',
    path: '/sessions/{session}/output',
    id: 'readSessionOutput',
    tag,
    summary: 'What a session printed, from an offset on',
    description: 'Of a recording the newest 8 to 16 MiB are kept.',
    query: z.strictObject({
      offset: offset.optional(),
      limit: limit(1024 * 1024).optional(),
      waitMs: waitMs.optional().describe('waits so long for the first new byte or the end'),
    }),
    answer: json(SessionOutput),
    errors: ['session_not_found'],
    handle: async ({ param, query, signal }, { plane }) =>
      plane.sessions.output(param('session'), {
        offset: query.offset ?? 0,
        limit: query.limit ?? defaultBytes,
        waitMs: query.waitMs ?? 0,
        signal,
      }),
  }),
  route({
    method: 'get',
    path: '/sessions/{session}/recording',
    id: 'readRecording',
    tag,
    summary: 'The recording of a session',
    answer: stream('application/x-asciicast', 'Lines of asciicast, version 2.'),
    errors: ['session_not_found'],
    handle: async ({ param, response }, { plane }) => {
      const lines = await plane.sessions.recording(param('session'))
      response.writeHead(200, { 'content-type': 'application/x-asciicast', ...headers })
      await pipeline(Readable.from(lines), response)
      return written
    },
  }),
  route({
    method: 'get',
    path: '/sessions/{session}/result',
    id: 'readResult',
    tag,
    summary: 'What a session changed, as git takes it',
    query: z.strictObject({
      as: z.enum(['bundle', 'patch']).describe('its commits as a git bundle, or all changes as a patch'),
    }),
    answer: stream('application/octet-stream', 'A git bundle with the ref refs/gibil/result, or a patch.'),
    errors: ['session_not_found', 'file_not_found'],
    handle: async ({ param, query, response }, { plane }) => {
      const body = await plane.sessions.result(param('session'), query.as)
      response.writeHead(200, { 'content-type': 'application/octet-stream', ...headers })
      await pipeline(body, response)
      return written
    },
  }),
  route({
    method: 'post',
    path: '/sessions/{session}/stop',
    id: 'stopSession',
    tag,
    summary: 'End the agent of a session',
    description: 'SIGTERM, and SIGKILL after 5 s. Answers when its work was fetched and its box is as `onEnd` says.',
    answer: json(Session),
    errors: ['session_not_found'],
    handle: async ({ param, signal }, { plane }) => plane.sessions.stop(param('session'), { signal }),
  }),
  route({
    method: 'delete',
    path: '/sessions/{session}',
    id: 'removeSession',
    tag,
    summary: 'Forget a session that has ended, with what it printed and changed',
    answer: json(Session),
    errors: ['session_not_found', 'wrong_state'],
    handle: async ({ param }, { plane }) => plane.sessions.remove(param('session')),
  }),
]
