import { Metrics, OpenPort } from '@gibil/contract'
import * as z from 'zod'
import { callEmpty, callJson } from './call.ts'
import { type Context, exchange } from './exchange.ts'
import { fileCalls } from './file-calls.ts'
import { jobCalls } from './job-calls.ts'
import { listenCalls } from './listen-calls.ts'
import { treeCalls } from './tree-calls.ts'
import type { BoxdClient, BoxdClientOptions, Dial } from './types.ts'

const defaultAnswerMs = 30_000

const BoxdHealth = z.object({ version: z.string().max(100), pid: z.int(), startedAt: z.iso.datetime() })

const Identified = z.object({ bootJob: z.string().min(1).max(100).nullable() })
const Disk = z.object({
  path: z
    .string()
    .regex(/^\/\P{Cc}*$/u)
    .max(4096),
  port: z.int().min(1).max(65_535),
  label: z.string().regex(/^[\w-]{1,48}$/),
})
const maxDisks = 64

/** boxd in one box, reached by a dial function. */
export function createBoxdClient(dial: Dial, options: BoxdClientOptions = {}): BoxdClient {
  const context: Context = { dial, signal: options.signal, answerMs: options.answerMs ?? defaultAnswerMs }
  return {
    health: () => callJson(context, { method: 'GET', path: 'health' }, BoxdHealth),
    configure: (json) => callEmpty(context, { method: 'POST', path: 'configure', json }),
    sync: () => callEmpty(context, { method: 'POST', path: 'sync' }),
    identify: (json) => callJson(context, { method: 'POST', path: 'identity', json }, Identified),
    mountDisk: (json) => callEmpty(context, { method: 'POST', path: 'disks', json }),
    unmountDisk: (path) => callEmpty(context, { method: 'DELETE', path: 'disks', query: { path } }),
    unmountDisks: () => callEmpty(context, { method: 'DELETE', path: 'disks' }),
    listDisks: () => callJson(context, { method: 'GET', path: 'disks' }, z.array(Disk).max(maxDisks)),
    metrics: () => callJson(context, { method: 'GET', path: 'metrics' }, Metrics),
    ports: () => callJson(context, { method: 'GET', path: 'ports' }, z.array(OpenPort)),
    shutdown: (graceMs) => callEmpty(context, { method: 'POST', path: 'shutdown', json: { graceMs } }),
    ...jobCalls(context),
    ...fileCalls(context),
    ...listenCalls(context),
    ...treeCalls(context),
    async dial(port, host) {
      const request = { method: 'GET', path: 'dial', query: { port, host }, upgrade: 'gibil-tcp/1' } as const
      const { connection } = await exchange(context, request)
      return connection.release()
    },
  }
}
