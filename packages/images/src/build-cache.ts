import { createHash } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { parseJson, readIfThere, writeAtomically } from './files.ts'
import type { LayerStore } from './layer-store.ts'

const CacheRecord = z.object({
  /** The layer that the step made; null when it changed nothing. */
  layer: z.string().nullable(),
  /** Milliseconds since the epoch. */
  usedAt: z.number(),
})

/** What finished build steps made, so that a step with the same key is not done again. A record keeps its layer. */
export interface BuildCache {
  /** Undefined: not known, or its layer is gone or damaged. */
  get(key: string): Promise<{ layer: string | null } | undefined>
  put(key: string, layer: string | null): Promise<void>
  /** Layers that records keep. */
  layers(): Promise<Set<string>>
  /** Forgets the records of these layers, and those not used since a time. */
  forget(what: { layers?: ReadonlySet<string>; unusedSince?: number }): Promise<void>
}

/** The key of a step: the sha256 of all that its result depends on. */
export const cacheKey = (parts: unknown): string => createHash('sha256').update(JSON.stringify(parts)).digest('hex')

/** A use is written down again after so long, not each time. */
const touchAfterMs = 60 * 60 * 1000

export const openBuildCache = (folder: string, layers: LayerStore, now: () => number): BuildCache => {
  const pathOf = (key: string): string => join(folder, `${key}.json`)
  const read = async (key: string) => {
    const record = CacheRecord.safeParse(parseJson((await readIfThere(pathOf(key))) ?? ''))
    return record.success ? record.data : undefined
  }
  const keys = async (): Promise<string[]> =>
    (await readdir(folder)).filter((file) => /^[0-9a-f]{64}\.json$/.test(file)).map((file) => file.slice(0, 64))
  const put = (key: string, layer: string | null): Promise<void> =>
    writeAtomically(pathOf(key), JSON.stringify({ layer, usedAt: now() }))
  return {
    put,
    get: async (key) => {
      const record = await read(key)
      if (!record || (record.layer !== null && !(await layers.check(record.layer)))) return undefined
      if (now() - record.usedAt > touchAfterMs) await put(key, record.layer)
      return { layer: record.layer }
    },
    layers: async () => {
      const kept = await Promise.all((await keys()).map(read))
      return new Set(kept.flatMap((record) => (record?.layer ? [record.layer] : [])))
    },
    forget: async ({ layers: gone = new Set(), unusedSince = 0 }) => {
      for (const key of await keys()) {
        const record = await read(key)
        const keep = record && record.usedAt >= unusedSince && !(record.layer !== null && gone.has(record.layer))
        if (!keep) await rm(pathOf(key), { force: true })
      }
    },
  }
}
