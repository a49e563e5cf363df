import { ChangeMode, FileInfo, MakeDirectory, MovePath } from '@gibil/contract'
import * as z from 'zod'
import { uploadOf } from '../http/body.ts'
import { streamEvents } from '../http/event-stream.ts'
import { empty, json, type Route, route, stream, written } from '../http/route.ts'
import { sendDownload } from './download.ts'
import { flag, forFiles, path } from './query.ts'

const tag = 'files'
const running = ['box_not_found', 'wrong_state', 'boxd_unreachable'] as const
const reading = [...running, 'file_not_found', 'invalid_path', 'permission_denied'] as const
const writing = [...reading, 'file_conflict', 'disk_full'] as const

export const fileRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/boxes/{box}/files',
    id: 'readFile',
    tag,
    summary: 'Read a file',
    description: 'Of any size. `Range: bytes=a-b` gives that part, with status 206.',
    query: z.strictObject({ path }),
    answer: stream('application/octet-stream', 'The bytes of the file.'),
    errors: [...reading, 'file_conflict'],
    handle: async ({ param, query, request, response, signal }, api) => {
      const { range } = request.headers
      await sendDownload(await api.boxd(param('box'), signal, forFiles).readFile(query.path, range), response)
      return written
    },
  }),
  route({
    method: 'put',
    path: '/boxes/{box}/files',
    id: 'writeFile',
    tag,
    summary: 'Write a file',
    description: 'Of any size. It replaces what was there at once, never half; parents are made.',
    query: z.strictObject({
      path,
      user: z.string().optional().describe('owner; default the user of the box'),
      mode: z
        .string()
        .regex(/^[0-7]{1,4}$/)
        .optional()
        .describe('octal; default 644, or what the file had'),
      ifHash: z
        .string()
        .regex(/^(none|[0-9a-f]{64})$/)
        .optional()
        .describe('SHA-256 of what the file has to be, or none: else it stays, and the answer is file_conflict'),
    }),
    bodies: { upload: 'application/octet-stream' },
    answer: json(FileInfo, 201),
    errors: writing,
    handle: async ({ param, query, request, response, signal }, api) => {
      const { path: target, ...options } = query
      return api.boxd(param('box'), signal, forFiles).writeFile(target, uploadOf(request, response), options)
    },
  }),
  route({
    method: 'delete',
    path: '/boxes/{box}/files',
    id: 'removeFile',
    tag,
    summary: 'Remove a file or a directory',
    query: z.strictObject({ path, recursive: flag.optional().describe('also a directory that is not empty') }),
    answer: empty,
    errors: writing,
    handle: async ({ param, query, signal }, api) =>
      api.boxd(param('box'), signal, forFiles).removeFile(query.path, { recursive: query.recursive ?? false }),
  }),
  route({
    method: 'get',
    path: '/boxes/{box}/files/stat',
    id: 'statFile',
    tag,
    summary: 'What a path is',
    query: z.strictObject({ path, follow: flag.optional().describe('0: of a symbolic link itself') }),
    answer: json(FileInfo),
    errors: reading,
    handle: async ({ param, query, signal }, api) =>
      api.boxd(param('box'), signal, forFiles).stat(query.path, { follow: query.follow ?? true }),
  }),
  route({
    method: 'get',
    path: '/boxes/{box}/files/list',
    id: 'listFiles',
    tag,
    summary: 'What is in a directory, sorted by path',
    large: true,
    query: z.strictObject({ path, depth: z.coerce.number().int().min(1).max(100).optional().describe('default 1') }),
    answer: json(z.array(FileInfo)),
    errors: [...reading, 'payload_too_large'],
    handle: async ({ param, query, signal }, api) =>
      api.boxd(param('box'), signal, forFiles).list(query.path, { depth: query.depth ?? 1 }),
  }),
  route({
    method: 'post',
    path: '/boxes/{box}/files/mkdir',
    id: 'makeDirectory',
    tag,
    summary: 'Make a directory with its parents',
    description: 'Fine when it exists.',
    body: MakeDirectory,
    answer: empty,
    errors: writing,
    handle: async ({ param, body, signal }, api) => api.boxd(param('box'), signal, forFiles).mkdir(body),
  }),
  route({
    method: 'post',
    path: '/boxes/{box}/files/move',
    id: 'movePath',
    tag,
    summary: 'Move a file or a directory',
    body: MovePath,
    answer: empty,
    errors: writing,
    handle: async ({ param, body, signal }, api) => api.boxd(param('box'), signal, forFiles).move(body),
  }),
  route({
    method: 'post',
    path: '/boxes/{box}/files/chmod',
    id: 'changeMode',
    tag,
    summary: 'Change permission bits',
    body: ChangeMode,
    answer: empty,
    errors: reading,
    handle: async ({ param, body, signal }, api) => api.boxd(param('box'), signal, forFiles).chmod(body),
  }),
  route({
    method: 'get',
    path: '/boxes/{box}/files/watch',
    id: 'watchFiles',
    tag,
    summary: 'What changes below a path, as it happens',
    description: 'Server-sent events: first `ready`, then a FileEvent each, named by its type.',
    query: z.strictObject({ path, recursive: flag.optional().describe('default 1') }),
    answer: stream('text/event-stream', 'FileEvent events'),
    errors: reading,
    handle: async ({ param, query, response, signal }, api) => {
      const ended = AbortSignal.any([signal, api.daemon.stopping])
      const changes = api.boxd(param('box'), ended, forFiles).watch(query.path, { recursive: query.recursive ?? true })
      await streamEvents(response, named(changes))
      return written
    },
  }),
]

async function* named<T extends { readonly type: string }>(source: AsyncIterable<T>) {
  for await (const event of source) yield { event: event.type, data: event }
}
