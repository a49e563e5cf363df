import { createGate } from '../util/gate.ts'

/** The boxes that an earlier daemon left, of which some have to be started, stopped or removed before they are as they should be. */
export interface Takeover {
  /** Sees to all of them, so many at once. Resolves when each was tried. */
  all(ids: readonly string[]): Promise<void>
  /** Resolves when this one was tried: whoever asks for it need not wait until its turn comes. At once for any other box. */
  one(id: string): Promise<void>
}

/** `bring` brings one box to what it should be, and does not reject. */
export function createTakeover(bring: (id: string) => Promise<void>, atOnce: number): Takeover {
  const waiting = new Set<string>()
  const begun = new Map<string, Promise<void>>()
  const one = async (id: string): Promise<void> => {
    if (!waiting.has(id)) return begun.get(id)
    waiting.delete(id)
    const work = bring(id).finally(() => begun.delete(id))
    begun.set(id, work)
    return work
  }
  return {
    one,
    async all(ids) {
      for (const id of ids) waiting.add(id)
      const lanes = createGate(atOnce)
      await Promise.all(ids.map((id) => lanes.run(() => one(id))))
    },
  }
}
