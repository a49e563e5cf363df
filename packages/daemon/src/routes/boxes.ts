import {
  Box,
  ConsoleText,
  CostReport,
  CreateBox,
  Egress,
  ExtendBox,
  RestartBox,
  SetupLogPage,
  Wait,
} from '@gibil/contract'
import * as z from 'zod'
import { uploadOf } from '../http/body.ts'
import { streamEvents } from '../http/event-stream.ts'
import { json, type Route, route, stream, written } from '../http/route.ts'
import { flag, limit, offset } from './query.ts'
import { followSetupLog } from './setup-log-stream.ts'

const tag = 'boxes'
const creation = [
  'invalid_name',
  'invalid_duration',
  'invalid_size',
  'name_in_use',
  'image_not_found',
  'size_beyond_host',
  'needs_root',
  'disk_full',
  'over_budget',
  'task_failed',
] as const

export const boxRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/boxes',
    id: 'createBox',
    tag,
    summary: 'Create a box',
    description: 'Answers when the box has come as far as `wait` says. Leaving early ends the waiting, not the create.',
    body: CreateBox,
    progress: true,
    answer: json(Box, 201),
    errors: creation,
    handle: async ({ body, onProgress, signal }, { plane, metrics }) => {
      const box = await plane.create(body, { onProgress, signal })
      metrics.created(box)
      return box
    },
  }),
  route({
    method: 'get',
    path: '/boxes',
    id: 'listBoxes',
    tag,
    summary: 'List boxes, oldest first',
    query: z.strictObject({ fleet: z.string().optional() }),
    answer: json(z.array(Box)),
    handle: async ({ query }, { plane }) => plane.list(query.fleet === undefined ? {} : { fleet: query.fleet }),
  }),
  route({
    method: 'get',
    path: '/cost',
    id: 'cost',
    tag,
    summary: 'What boxes have cost, by box and by day',
    description:
      'Net, counted as the provider does: each hour that has begun is a whole one, up to the price of a month. Boxes of this machine cost nothing.',
    answer: json(CostReport),
    handle: async (_, { plane }) => plane.cost(),
  }),
  route({
    method: 'get',
    path: '/boxes/{box}',
    id: 'getBox',
    tag,
    summary: 'Show a box',
    answer: json(Box),
    errors: ['box_not_found'],
    handle: async ({ param }, { plane }) => plane.get(param('box')),
  }),
  route({
    method: 'delete',
    path: '/boxes/{box}',
    id: 'destroyBox',
    tag,
    summary: 'Destroy a box',
    description: 'Answers when nothing of it is left.',
    progress: true,
    answer: json(Box),
    errors: ['box_not_found'],
    handle: async ({ param }, { plane }) => plane.destroy(param('box')),
  }),
  route({
    method: 'post',
    path: '/boxes/{box}/extend',
    id: 'extendBox',
    tag,
    summary: 'Give a box more time to live',
    body: ExtendBox,
    answer: json(Box),
    errors: ['box_not_found', 'invalid_duration', 'lease_out_of_range', 'over_budget'],
    handle: async ({ param, body }, { plane }) => plane.extend(param('box'), body.ttl),
  }),
  route({
    method: 'put',
    path: '/boxes/{box}/egress',
    id: 'setEgress',
    tag,
    summary: 'Say which addresses a box may connect to',
    description:
      'In place of what was said before. It holds at once, for open connections too; a box that does not run has it when it starts.',
    body: Egress,
    answer: json(Box),
    errors: ['box_not_found', 'wrong_state', 'unsupported_by_shape'],
    handle: async ({ param, body }, { plane }) => plane.setEgress(param('box'), body),
  }),
  route({
    method: 'post',
    path: '/boxes/{box}/pause',
    id: 'pauseBox',
    tag,
    summary: 'Freeze all processes and keep the memory',
    answer: json(Box),
    errors: ['box_not_found', 'wrong_state', 'unsupported_by_shape'],
    handle: async ({ param }, { plane }) => plane.pause(param('box')),
  }),
  route({
    method: 'post',
    path: '/boxes/{box}/resume',
    id: 'resumeBox',
    tag,
    summary: 'Let a paused box go on',
    answer: json(Box),
    errors: ['box_not_found', 'wrong_state'],
    handle: async ({ param }, { plane }) => plane.resume(param('box')),
  }),
  route({
    method: 'post',
    path: '/boxes/{box}/stop',
    id: 'stopBox',
    tag,
    summary: 'End all processes and keep the disk',
    description:
      'A box of a cloud is billed as long as its machine exists, also when it is off; with `snapshot` the machine goes.',
    // A body would be one that callers have to send.
    query: z.strictObject({ snapshot: flag.optional() }),
    progress: true,
    answer: json(Box),
    errors: ['box_not_found', 'wrong_state', 'unsupported_by_shape'],
    handle: async ({ param, query }, { plane }) => plane.stopBox(param('box'), query),
  }),
  route({
    method: 'post',
    path: '/boxes/{box}/start',
    id: 'startBox',
    tag,
    summary: 'Start a stopped box on its kept disk',
    progress: true,
    answer: json(Box),
    errors: ['box_not_found', 'wrong_state'],
    handle: async ({ param }, { plane }) => plane.startBox(param('box')),
  }),
  route({
    method: 'post',
    path: '/boxes/{box}/restart',
    id: 'restartBox',
    tag,
    summary: 'Start a box anew, whatever it does',
    description:
      'Ends what runs in it, with a grace if it answers, and starts it on its kept disk: same id, name, lease and address. One that does not run is ' +
      'started. `fresh` makes its disk anew from the image and sets it up again.',
    body: RestartBox,
    progress: true,
    answer: json(Box),
    errors: ['box_not_found', 'wrong_state'],
    handle: async ({ param, body }, { plane }) => plane.restart(param('box'), body),
  }),
  route({
    method: 'get',
    path: '/boxes/{box}/console',
    id: 'readConsole',
    tag,
    summary: 'What the kernel of a box printed of late',
    description: 'Of shapes with a kernel of their own. Kept also when that has ended, until the next start.',
    answer: json(ConsoleText),
    errors: ['box_not_found', 'unsupported_by_shape'],
    handle: async ({ param }, { plane }) => ({ text: await plane.console(param('box')) }),
  }),
  route({
    method: 'get',
    path: '/boxes/{box}/wait',
    id: 'waitForBox',
    tag,
    summary: 'Wait until a box has come so far',
    description: 'Answers with the failure of the box when it failed.',
    query: z.strictObject({ for: Wait.optional().describe('default ready') }),
    progress: true,
    answer: json(Box),
    errors: ['box_not_found', 'clone_failed', 'task_failed', 'service_failed'],
    handle: async ({ param, query, signal }, { plane }) => plane.wait(param('box'), query.for ?? 'ready', signal),
  }),
  route({
    method: 'put',
    path: '/boxes/{box}/repo',
    id: 'uploadRepo',
    tag,
    summary: 'Send the tree of a box whose repository was announced as an upload',
    description: 'The body is a tar stream of any length. Set-up goes on after it.',
    bodies: { upload: 'application/x-tar' },
    answer: json(Box),
    errors: ['box_not_found', 'wrong_state', 'invalid_path', 'disk_full'],
    handle: async ({ param, request, response }, { plane }) =>
      plane.uploadRepo(param('box'), uploadOf(request, response)),
  }),
  route({
    method: 'get',
    path: '/boxes/{box}/log',
    id: 'readSetupLog',
    tag,
    summary: 'What the set-up of a box printed',
    query: z.strictObject({ offset: offset.optional(), limit: limit(1024 * 1024).optional() }),
    answer: json(SetupLogPage),
    errors: ['box_not_found'],
    handle: async ({ param, query }, { plane }) =>
      plane.setupLog(param('box'), query.offset ?? 0, query.limit ?? 64 * 1024),
  }),
  route({
    method: 'get',
    path: '/boxes/{box}/log/follow',
    id: 'followSetupLog',
    tag,
    summary: 'What the set-up of a box prints, as it comes',
    description: 'Server-sent events `log`, each a SetupLogPage; the last one has `done: true`.',
    query: z.strictObject({ offset: offset.optional() }),
    answer: stream('text/event-stream', 'SetupLogPage events'),
    errors: ['box_not_found'],
    handle: async ({ param, query, response, signal }, { plane, daemon }) => {
      const { id } = await plane.get(param('box'))
      const ended = AbortSignal.any([signal, daemon.stopping])
      await streamEvents(response, followSetupLog(plane, id, query.offset ?? 0, ended), { eager: true })
      return written
    },
  }),
]
