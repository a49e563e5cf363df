import type { Progress } from '@gibil/contract'

/** Tells how far work on a box is, to whoever waits for it now. */
export interface ProgressHub {
  tell(boxId: string, progress: Progress): void
  listen(boxId: string, listener: (progress: Progress) => void): () => void
}

export function createProgressHub(): ProgressHub {
  const listeners = new Map<string, Set<(progress: Progress) => void>>()
  return {
    tell(boxId, progress) {
      for (const listener of [...(listeners.get(boxId) ?? [])]) listener(progress)
    },
    listen(boxId, listener) {
      const set = listeners.get(boxId) ?? new Set()
      set.add(listener)
      listeners.set(boxId, set)
      return () => {
        set.delete(listener)
        if (set.size === 0 && listeners.get(boxId) === set) listeners.delete(boxId)
      }
    },
  }
}
