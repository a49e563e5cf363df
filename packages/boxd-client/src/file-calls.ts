import { FileEvent, FileInfo } from '@gibil/contract'
import * as z from 'zod'
import { bodyReader } from './body.ts'
import { callDownload, callEmpty, callJson } from './call.ts'
import { type Context, exchange, parseJson } from './exchange.ts'
import { violation } from './failures.ts'
import { FileDetails } from './file-details.ts'
import { bodyLength } from './head.ts'
import type { BoxdClient } from './types.ts'

/** Up to 100 000 entries. */
const maxListBytes = 64 * 1024 * 1024
const maxEventBytes = 32 * 1024

const WatchLine = z.union([z.object({ type: z.literal('ready') }), FileEvent])
type WatchLine = z.infer<typeof WatchLine>

type FileCalls = Pick<
  BoxdClient,
  | 'readFile'
  | 'writeFile'
  | 'removeFile'
  | 'stat'
  | 'list'
  | 'describe'
  | 'describeBelow'
  | 'setAttributes'
  | 'mkdir'
  | 'move'
  | 'chmod'
  | 'watch'
  | 'readTar'
  | 'writeTar'
>

export function fileCalls(context: Context): FileCalls {
  return {
    readFile: (path, range) => callDownload(context, { method: 'GET', path: 'files', query: { path }, range }),
    writeFile: (path, body, { user, mode, ifHash } = {}) =>
      callJson(context, { method: 'PUT', path: 'files', query: { path, user, mode, ifHash }, body }, FileInfo),
    removeFile: (path, { recursive } = { recursive: false }) =>
      callEmpty(context, { method: 'DELETE', path: 'files', query: { path, recursive } }),
    stat: (path, { follow } = { follow: true }) =>
      callJson(
        context,
        { method: 'GET', path: 'files/stat', query: { path, follow: follow ? undefined : '0' } },
        FileInfo,
      ),
    list: (path, { depth } = { depth: 1 }) =>
      callJson(context, { method: 'GET', path: 'files/list', query: { path, depth } }, z.array(FileInfo), maxListBytes),
    describe: (path, prefix) => {
      const query = { path, follow: '0', links: '1', attributes: prefix }
      return callJson(context, { method: 'GET', path: 'files/stat', query }, FileDetails)
    },
    describeBelow: (path, { depth, prefix }) => {
      const query = { path, depth, links: '1', attributes: prefix }
      return callJson(context, { method: 'GET', path: 'files/list', query }, z.array(FileDetails), maxListBytes)
    },
    setAttributes: (path, prefix, set) =>
      callEmpty(context, { method: 'POST', path: 'files/attributes', json: { path, prefix, set } }),
    mkdir: (json) => callEmpty(context, { method: 'POST', path: 'files/mkdir', json }),
    move: (json) => callEmpty(context, { method: 'POST', path: 'files/move', json }),
    chmod: (json) => callEmpty(context, { method: 'POST', path: 'files/chmod', json }),
    watch: (path, { recursive } = { recursive: true }) => watch(context, path, recursive),
    readTar: (path, { exclude } = { exclude: [] }) =>
      callDownload(context, { method: 'GET', path: 'tar', query: { path, exclude } }),
    writeTar: (path, body, { user } = {}) =>
      callEmpty(context, { method: 'PUT', path: 'tar', query: { path, user }, body }),
  }
}

/** Reads lines of JSON as they come, and no faster than they are taken. */
async function* watch(context: Context, path: string, recursive: boolean): AsyncGenerator<WatchLine> {
  const { connection, head } = await exchange(context, { method: 'GET', path: 'watch', query: { path, recursive } })
  try {
    const next = bodyReader(connection, bodyLength(head))
    let rest = Buffer.alloc(0)
    for (let piece = await next(); piece; piece = await next()) {
      rest = Buffer.concat([rest, piece])
      for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
        yield parseLine(rest.subarray(0, end))
        rest = rest.subarray(end + 1)
      }
      if (rest.length > maxEventBytes) throw violation('a file event that is too long')
    }
    if (rest.length > 0) throw violation('half a file event')
  } finally {
    connection.close()
  }
}

function parseLine(line: Buffer): WatchLine {
  const parsed = WatchLine.safeParse(parseJson(line))
  if (!parsed.success) throw violation('a file event that does not fit its schema', parsed.error)
  return parsed.data
}
