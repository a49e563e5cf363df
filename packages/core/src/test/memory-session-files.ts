import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { Recorded, SessionFiles } from '../ports/session-files.ts'

/** Recordings and results in memory. */
export function createMemorySessionFiles(): SessionFiles {
  const recordings = new Map<string, Recorded[]>()
  const results = new Map<string, Buffer>()
  return {
    async nextOffset(id) {
      const last = recordings.get(id)?.at(-1)
      return last ? last.offset + last.data.length : 0
    },
    async append(id, pieces) {
      recordings.set(id, [...(recordings.get(id) ?? []), ...pieces])
    },
    async *read(id, from) {
      for (const piece of recordings.get(id) ?? []) if (piece.offset + piece.data.length > from) yield piece
    },
    async keepResult(id, kind, body) {
      const bytes = await buffer(body)
      results.set(`${id} ${kind}`, bytes)
      return bytes.length
    },
    async result(id, kind) {
      const bytes = results.get(`${id} ${kind}`)
      return bytes && Readable.from([bytes])
    },
    async remove(id) {
      recordings.delete(id)
      for (const key of [...results.keys()]) if (key.startsWith(id)) results.delete(key)
    },
  }
}
