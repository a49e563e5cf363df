import type { Clock } from '../ports/clock.ts'

/** What a connection is for. */
export type Use = 'command' | 'file' | 'port'

/** How a box is used now. `since`: without a pause, in ms since the epoch; null when it is not. */
interface InUse {
  readonly since: number | null
  readonly open: Readonly<Record<Use, number>>
}

/** When boxes were last used: by connections and commands. */
export interface Activity {
  /** A connection begins; the returned function ends it, and may be called twice. */
  open(id: string, use?: Use): () => void
  isOpen(id: string): boolean
  inUse(id: string): InUse
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
const unused: InUse = { since: null, open: { command: 0, file: 0, port: 0 } }

/** `save` keeps the time with the box, so that the idle limit outlives a restart. */
export function createActivity(clock: Clock, save: (id: string, at: number) => Promise<void>): Activity {
  interface Entry {
    readonly open: Record<Use, number>
    connections: number
    since: number
    last: number
    cancel: (() => void) | undefined
  }
  const entries = new Map<string, Entry>()
  let listener: (id: string) => void = () => undefined

  const saveSoon = (id: string, entry: Entry, ms: number): void => {
    entry.cancel ??= clock.after(ms, () => {
      entry.cancel = undefined
      if (entry.connections > 0) entry.last = clock.now()
      // A write that fails is made good by the next one.
      save(id, entry.last).catch(() => undefined)
      if (entry.connections > 0) saveSoon(id, entry, saveOpenAfterMs)
    })
  }
  const touch = (id: string, at = clock.now()): Entry => {
    const entry = entries.get(id) ?? {
      open: { ...unused.open },
      connections: 0,
      since: at,
      last: at,
      cancel: undefined,
    }
    entries.set(id, entry)
    entry.last = Math.max(entry.last, at)
    saveSoon(id, entry, saveAfterMs)
    return entry
  }

  return {
    open(id, use = 'command') {
      const entry = touch(id)
      if (entry.connections === 0) entry.since = clock.now()
      entry.connections += 1
      entry.open[use] += 1
      listener(id)
      let over = false
      return () => {
        if (over) return
        over = true
        entry.connections -= 1
        entry.open[use] -= 1
        if (entries.get(id) !== entry) return
        entry.cancel?.()
        entry.cancel = undefined
        touch(id)
        listener(id)
      }
    },
    isOpen: (id) => (entries.get(id)?.connections ?? 0) > 0,
    inUse(id) {
      const entry = entries.get(id)
      return entry && entry.connections > 0 ? { since: entry.since, open: { ...entry.open } } : unused
    },
    touch(id, at) {
      touch(id, at)
      listener(id)
    },
    last: (id) => entries.get(id)?.last,
    onChange(next) {
      listener = next
    },
    forget(id) {
      entries.get(id)?.cancel?.()
      entries.delete(id)
    },
    close() {
      for (const { cancel } of entries.values()) cancel?.()
      entries.clear()
    },
  }
}
