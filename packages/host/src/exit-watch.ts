import { setTimeout as sleep } from 'node:timers/promises'
import type { HostKit } from '@gibil/hostkit-client'
import type { Log } from './log.ts'

const retryMs = 200

/** Tells when boxes end that nobody asked to end. */
export interface ExitWatch {
  watch(id: string, pid: number): void
  /** The box is about to be ended on purpose: its end is no news. */
  forget(id: string): void
  /** The first process of a box that runs, as far as is known. */
  pidOf(id: string): number | undefined
  onExit(listener: (id: string) => void): void
  close(): void
}

export function createExitWatch(hostkit: Pick<HostKit, 'procWatch'>, log: Log): ExitWatch {
  const watched = new Map<string, { readonly pid: number }>()
  const listeners = new Set<(id: string) => void>()
  let closed = false

  /** False when there is nothing to wait for any more. When hostkit dies, its successor is asked to watch on. */
  async function ended(id: string, token: { readonly pid: number }): Promise<boolean> {
    for (;;) {
      try {
        await hostkit.procWatch({ pid: token.pid, key: id })
        return !closed && watched.get(id) === token
      } catch (error) {
        if (closed || watched.get(id) !== token) return false
        log('warn', 'a box is watched anew', { id, error: String(error) })
        await sleep(retryMs, undefined, { ref: false })
      }
    }
  }

  async function wait(id: string, token: { readonly pid: number }): Promise<void> {
    if (!(await ended(id, token))) return
    watched.delete(id)
    log('info', 'a box ended by itself', { id, pid: token.pid })
    for (const listener of listeners) listener(id)
  }

  return {
    watch(id, pid) {
      const token = { pid }
      watched.set(id, token)
      void wait(id, token)
    },
    pidOf: (id) => watched.get(id)?.pid,
    forget: (id) => void watched.delete(id),
    onExit: (listener) => void listeners.add(listener),
    close() {
      closed = true
      watched.clear()
    },
  }
}
