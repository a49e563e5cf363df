import { TreeReport } from '@gibil/contract'
import * as z from 'zod'
import { callDownload, callJson } from './call.ts'
import { type Context, exchange } from './exchange.ts'
import type { BoxdClient } from './types.ts'

const maxId = 0xffff_ffff
/** A tree of millions of files takes a while to be looked through, and to be written to a disk. */
const patienceMs = 900_000

const Survey = z.object({
  entries: z.int().min(0),
  bytes: z.int().min(0),
  maxId: z.int().min(0).max(maxId),
  maxIdPath: z.string().max(32_768),
})

/** Calls about the whole root filesystem of the box, without what it has from its shape. */
export function treeCalls(
  context: Context,
): Pick<BoxdClient, 'surveyTree' | 'readWholeTree' | 'readTreeFirst' | 'readTreeRest' | 'layTree' | 'standStill'> {
  const stream = async (path: string, query: { exclude?: readonly string[] } = {}) =>
    (await callDownload(context, { method: 'GET', path, query })).body
  return {
    surveyTree: (exclude) =>
      callJson(context, { method: 'GET', path: 'tree/survey', query: { exclude }, patienceMs }, Survey),
    readWholeTree: (exclude) => stream('tree', { exclude }),
    readTreeFirst: (exclude) => stream('tree/first', { exclude }),
    readTreeRest: () => stream('tree/rest'),
    layTree: (tar) => callJson(context, { method: 'PUT', path: 'tree', body: tar, patienceMs }, TreeReport),
    async standStill() {
      const request = { method: 'GET', path: 'still', upgrade: 'gibil-still/1' } as const
      const { connection } = await exchange(context, request)
      return () => connection.close()
    },
  }
}
