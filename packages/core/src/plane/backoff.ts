import type { Clock } from '../ports/clock.ts'

/** Waits longer after each failure of one box: doubling, up to a limit. */
export interface Backoff {
  /** Counts a failure, and calls back when its wait is over. Returns how many there were in a row. */
  failed(id: string, retry: () => void): number
  count(id: string): number
  /** Whether a wait is under way. */
  waits(id: string): boolean
  clear(id: string): void
  close(): void
}

export function createBackoff(clock: Clock, { firstMs, longestMs }: { firstMs: number; longestMs: number }): Backoff {
  const states = new Map<string, { count: number; cancel: (() => void) | undefined }>()
  return {
    failed(id, retry) {
      const state = states.get(id) ?? { count: 0, cancel: undefined }
      states.set(id, state)
      state.count += 1
      state.cancel?.()
      state.cancel = clock.after(Math.min(longestMs, firstMs * 2 ** Math.min(20, state.count - 1)), () => {
        state.cancel = undefined
        retry()
      })
      return state.count
    },
    count: (id) => states.get(id)?.count ?? 0,
    waits: (id) => states.get(id)?.cancel !== undefined,
    clear(id) {
      states.get(id)?.cancel?.()
      states.delete(id)
    },
    close() {
      for (const { cancel } of states.values()) cancel?.()
      states.clear()
    },
  }
}
