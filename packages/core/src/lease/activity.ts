import type { Clock } from '../ports/clock.ts'

/** When boxes were last used: by connections and commands. */
export interface Activity {
  /** A connection begins; the returned function ends it, and may be called twice. */
  open(id: string): () => void
  isOpen(id: string): boolean
  touch(id: string, at?: number): void
  /** Undefined when nothing happened since the daemon started. */
  last(id: string): number | undefined
  onChange(listener: (id: string) => void): void
  forget(id: string): void
  close(): void
}

/** A crash forgets at most this much of what happened, and of a connection that stays open at most the second. */
const saveAfterMs = 1000
const saveOpenAfterMs = 15_000

/** `save` keeps the time with the box, so that the idle limit outlives a restart. */
export function createActivity(clock: Clock, save: (id: string, at: number) => Promise<void>): Activity {
  interface Use {
    connections: number
    last: number
    cancel: (() => void) | undefined
  }
  const uses = new Map<string, Use>()
  let listener: (id: string) => void = () => undefined

  const saveSoon = (id: string, use: Use, ms: number): void => {
    use.cancel ??= clock.after(ms, () => {
      use.cancel = undefined
      if (use.connections > 0) use.last = clock.now()
      // A write that fails is made good by the next one.
      save(id, use.last).catch(() => undefined)
      if (use.connections > 0) saveSoon(id, use, saveOpenAfterMs)
    })
  }
  const touch = (id: string, at = clock.now()): Use => {
    const use = uses.get(id) ?? { connections: 0, last: at, cancel: undefined }
    uses.set(id, use)
    use.last = Math.max(use.last, at)
    saveSoon(id, use, saveAfterMs)
    return use
  }

  return {
    open(id) {
      const use = touch(id)
      use.connections += 1
      listener(id)
      let over = false
      return () => {
        if (over) return
        over = true
        use.connections -= 1
        if (uses.get(id) !== use) return
        use.cancel?.()
        use.cancel = undefined
        touch(id)
        listener(id)
      }
    },
    isOpen: (id) => (uses.get(id)?.connections ?? 0) > 0,
    touch(id, at) {
      touch(id, at)
      listener(id)
    },
    last: (id) => uses.get(id)?.last,
    onChange(next) {
      listener = next
    },
    forget(id) {
      uses.get(id)?.cancel?.()
      uses.delete(id)
    },
    close() {
      for (const { cancel } of uses.values()) cancel?.()
      uses.clear()
    },
  }
}
