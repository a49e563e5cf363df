import type { HostKit } from '@gibil/hostkit-client'
import type { Log } from './log.ts'

/** Tells when boxes end that nobody asked to end. */
export interface ExitWatch {
  watch(id: string, pid: number): void
  /** The box is about to be ended on purpose: its end is no news. */
  forget(id: string): void
  onExit(listener: (id: string) => void): void
  close(): void
}

export function createExitWatch(hostkit: HostKit, log: Log): ExitWatch {
  const watched = new Map<string, symbol>()
  const listeners = new Set<(id: string) => void>()
  let closed = false

  async function wait(id: string, pid: number, token: symbol): Promise<void> {
    try {
      await hostkit.procWatch({ pid, key: id })
    } catch (error) {
      if (!closed) log('warn', 'a box is no longer watched', { id, error: String(error) })
      return
    }
    if (closed || watched.get(id) !== token) return
    watched.delete(id)
    log('info', 'a box ended by itself', { id, pid })
    for (const listener of listeners) listener(id)
  }

  return {
    watch(id, pid) {
      const token = Symbol(id)
      watched.set(id, token)
      void wait(id, pid, token)
    },
    forget: (id) => void watched.delete(id),
    onExit: (listener) => void listeners.add(listener),
    close() {
      closed = true
      watched.clear()
    },
  }
}
