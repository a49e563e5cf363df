import { Job, JobOutput, RunCommand, RunResult, SendSignal, StartCommand } from '@gibil/contract'
import * as z from 'zod'
import { uploadOf } from '../http/body.ts'
import { empty, json, type Route, route, websocket } from '../http/route.ts'
import { upgradeNeeded } from '../websocket/refusal.ts'
import { flag, limit, offset } from './query.ts'
import { runCommand } from './run.ts'
import { startRequest } from './start-request.ts'

const tag = 'commands'
const running = ['box_not_found', 'wrong_state', 'boxd_unreachable'] as const
const starting = [...running, 'command_not_found', 'user_not_found'] as const
const ofJob = [...running, 'job_not_found'] as const

export const commandRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/boxes/{box}/run',
    id: 'runCommand',
    tag,
    summary: 'Run a command to its end',
    description:
      'Answers with all it printed, each stream cut at `maxOutputBytes`, and all that a token lets run at once at 128 MiB (the administrator: 512). A client that leaves before the end kills the command.',
    body: RunCommand,
    answer: json(RunResult),
    errors: starting,
    handle: async ({ param, body, signal, response }, api) => runCommand(api, param('box'), body, { signal, response }),
  }),
  route({
    method: 'get',
    path: '/boxes/{box}/exec',
    id: 'execCommand',
    tag,
    summary: 'Run a command, or attach to one, with streams both ways',
    description:
      'A WebSocket. The first message is an OpenCommand as text. After it each binary message is a frame: a byte for its type (stdin 0, stdinEnd 1, resize 2, signal 3; stdout 16, stderr 17, exit 18, started 19, gap 20, error 21), then its payload. Closing the socket leaves the command running: attach again from the sum of the bytes received.',
    answer: websocket('Frames of a command, both ways.'),
    errors: starting,
    handle: upgradeNeeded,
  }),
  route({
    method: 'post',
    path: '/boxes/{box}/jobs',
    id: 'startJob',
    tag,
    summary: 'Start a command that goes on by itself',
    body: StartCommand,
    answer: json(Job, 201),
    errors: starting,
    handle: async ({ param, body, signal }, api) => api.boxd(param('box'), signal).startJob(startRequest(body)),
  }),
  route({
    method: 'get',
    path: '/boxes/{box}/jobs',
    id: 'listJobs',
    tag,
    summary: 'List the commands of a box, oldest first',
    answer: json(z.array(Job)),
    errors: running,
    handle: async ({ param, signal }, api) => api.boxd(param('box'), signal).listJobs(),
  }),
  route({
    method: 'get',
    path: '/boxes/{box}/jobs/{job}',
    id: 'getJob',
    tag,
    summary: 'Show a command',
    answer: json(Job),
    errors: ofJob,
    handle: async ({ param, signal }, api) => api.boxd(param('box'), signal).getJob(param('job')),
  }),
  route({
    method: 'get',
    path: '/boxes/{box}/jobs/{job}/output',
    id: 'readJobOutput',
    tag,
    summary: 'What a command printed, from an offset on',
    description: 'With `waitMs`, waits so long for the first new byte or the exit.',
    query: z.strictObject({
      offset: offset.optional(),
      limit: limit(1024 * 1024).optional(),
      waitMs: z.coerce.number().int().min(0).max(60_000).optional(),
    }),
    answer: json(JobOutput),
    errors: ofJob,
    handle: async ({ param, query, signal }, api) => api.boxd(param('box'), signal).jobOutput(param('job'), query),
  }),
  route({
    method: 'post',
    path: '/boxes/{box}/jobs/{job}/signal',
    id: 'signalJob',
    tag,
    summary: 'Signal a command and what it started',
    description: 'Fine when it has ended.',
    body: SendSignal,
    answer: empty,
    errors: ofJob,
    handle: async ({ param, body, signal }, api) => api.boxd(param('box'), signal).signalJob(param('job'), body),
  }),
  route({
    method: 'post',
    path: '/boxes/{box}/jobs/{job}/stdin',
    id: 'writeJobStdin',
    tag,
    summary: 'Write to the input of a command',
    query: z.strictObject({ end: flag.optional().describe('close its input afterwards') }),
    bodies: { upload: 'application/octet-stream' },
    answer: empty,
    errors: [...ofJob, 'wrong_state'],
    handle: async ({ param, query, request, response, signal }, api) =>
      api.boxd(param('box'), signal).writeStdin(param('job'), uploadOf(request, response), { end: query.end ?? false }),
  }),
  route({
    method: 'delete',
    path: '/boxes/{box}/jobs/{job}',
    id: 'forgetJob',
    tag,
    summary: 'Forget a command that has ended',
    answer: empty,
    errors: [...ofJob, 'file_conflict'],
    handle: async ({ param, signal }, api) => api.boxd(param('box'), signal).forgetJob(param('job')),
  }),
]
