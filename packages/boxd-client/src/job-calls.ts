import { completeLength, Exit, Job, type JobOutput } from '@gibil/contract'
import * as z from 'zod'
import { callEmpty, callJson } from './call.ts'
import { commandChannel } from './channel.ts'
import { type Context, exchange } from './exchange.ts'
import type { BoxdClient, BuiltinRequest, CommandChannel, OutputQuery, StartRequest } from './types.ts'

/** More than 1000 jobs may be listed, each with up to 8 KiB of arguments. */
const maxListBytes = 16 * 1024 * 1024

const Output = z.object({
  chunks: z.array(
    z.object({
      stream: z.enum(['stdout', 'stderr']),
      offset: z.int().min(0),
      base64: z.base64(),
      ms: z.number().min(0).optional(),
    }),
  ),
  nextOffset: z.int().min(0),
  lost: z.int().min(0),
  exit: Exit.nullable(),
})
type Output = z.infer<typeof Output>

type JobCalls = Pick<
  BoxdClient,
  | 'openCommand'
  | 'openBuiltin'
  | 'attach'
  | 'startJob'
  | 'listJobs'
  | 'getJob'
  | 'jobOutput'
  | 'timedOutput'
  | 'signalJob'
  | 'resizeJob'
  | 'writeStdin'
  | 'forgetJob'
>

export function jobCalls(context: Context): JobCalls {
  const of = (id: string, verb?: string): string =>
    verb === undefined ? `jobs/${encodeURIComponent(id)}` : `jobs/${encodeURIComponent(id)}/${verb}`
  const open = async (request: StartRequest | BuiltinRequest): Promise<CommandChannel> => {
    const json = { ...request, attach: true }
    const { connection } = await exchange(context, { method: 'POST', path: 'jobs', json, upgrade: 'gibil-frames/1' })
    return commandChannel(connection, context.answerMs)
  }
  return {
    openCommand: open,
    openBuiltin: open,
    async attach(job, offset) {
      const request = { method: 'GET', path: of(job, 'attach'), query: { offset }, upgrade: 'gibil-frames/1' } as const
      const { connection } = await exchange(context, request)
      return commandChannel(connection, context.answerMs)
    },
    startJob: (request) => callJson(context, { method: 'POST', path: 'jobs', json: request }, Job),
    listJobs: () => callJson(context, { method: 'GET', path: 'jobs' }, z.array(Job), maxListBytes),
    getJob: (id) => callJson(context, { method: 'GET', path: of(id) }, Job),
    async jobOutput(id, { offset, limit, waitMs }: OutputQuery = {}) {
      const query = { offset, limit, waitMs }
      const request = { method: 'GET', path: of(id, 'output'), query, patienceMs: waitMs } as const
      return toText(await callJson(context, request, Output))
    },
    async timedOutput(id, { offset, limit, waitMs }: OutputQuery = {}) {
      const query = { offset, limit, waitMs, times: 1 }
      const request = { method: 'GET', path: of(id, 'output'), query, patienceMs: waitMs } as const
      const { chunks, ...page } = await callJson(context, request, Output)
      const timed = chunks.map(({ base64, ms = null, ...at }) => ({ ...at, ms, data: Buffer.from(base64, 'base64') }))
      return { ...page, chunks: timed }
    },
    signalJob: (id, json) => callEmpty(context, { method: 'POST', path: of(id, 'signal'), json }),
    resizeJob: (id, json) => callEmpty(context, { method: 'POST', path: of(id, 'resize'), json }),
    writeStdin: (id, body, { end }) =>
      callEmpty(context, { method: 'POST', path: of(id, 'stdin'), query: { end }, body }),
    forgetJob: (id) => callEmpty(context, { method: 'DELETE', path: of(id) }),
  }
}

/**
 * Bytes to text. A character that the last chunk has only the beginning of is left for the next call, unless nothing more will
 * come or it is all there is.
 */
function toText({ chunks, nextOffset, lost, exit }: Output): JobOutput {
  const texts: JobOutput['chunks'] = []
  let next = nextOffset
  chunks.forEach(({ stream, offset, base64 }, index) => {
    let bytes = Buffer.from(base64, 'base64')
    if (index === chunks.length - 1 && exit === null) {
      const complete = completeLength(bytes)
      if (complete > 0 && complete < bytes.length) {
        next -= bytes.length - complete
        bytes = bytes.subarray(0, complete)
      }
    }
    texts.push({ stream, offset, text: bytes.toString('utf8') })
  })
  return { chunks: texts, nextOffset: next, lost, exit }
}
