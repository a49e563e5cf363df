import type { ControlPlane } from '@gibil/core'
import type { DoorLog } from './deps.ts'

/** What the door hears of boxes from the daemon, whoever changes them. */
export interface Happenings {
  /** When a box was paused, as ISO 8601; undefined when this daemon has not seen it. */
  pausedAt(id: string): string | undefined
  /** Calls back when a box stops answering because it was paused, stopped or removed. The returned function takes it back. */
  onHalt(id: string, halt: () => void): () => void
}

const halting = new Set(['box.paused', 'box.stopped', 'box.failed', 'box.destroying', 'box.destroyed'])

/** Listens to events of all boxes until the signal. */
export function followBoxes(control: ControlPlane, signal: AbortSignal, log: DoorLog): Happenings {
  const paused = new Map<string, string>()
  const listeners = new Map<string, Set<() => void>>()
  const listen = async (): Promise<void> => {
    for await (const { type, boxId, at } of control.events({ signal })) {
      if (boxId === null || !halting.has(type)) continue
      if (type === 'box.paused' || type === 'box.stopped') paused.set(boxId, at)
      if (type === 'box.destroyed') paused.delete(boxId)
      for (const halt of [...(listeners.get(boxId) ?? [])]) halt()
    }
  }
  const keepListening = async (): Promise<void> => {
    while (!signal.aborted) {
      await listen().catch((error) => log.warn({ err: error }, 'events of boxes were missed'))
    }
  }
  void keepListening()
  return {
    pausedAt: (id) => paused.get(id),
    onHalt(id, halt) {
      const all = listeners.get(id) ?? new Set()
      listeners.set(id, all.add(halt))
      return () => {
        all.delete(halt)
        if (all.size === 0 && listeners.get(id) === all) listeners.delete(id)
      }
    },
  }
}
