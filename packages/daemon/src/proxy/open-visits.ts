import { GibilError } from '@gibil/contract'

/** The requests that are open to the ports of each box. */
export interface OpenVisits {
  /** Begins one, which `cut` ends early; the returned function ends it. Throws `busy` when the box has too many. */
  enter(boxId: string, port: number, cut: () => void): () => void
  /** Ends what is open to a port: its visitors may not see it any more. */
  cut(boxId: string, port: number): void
}

/** Each holds two connections and their buffers: one box must not take those of all. */
const mostOfBox = 256

export function createOpenVisits(): OpenVisits {
  const boxes = new Map<string, Set<{ readonly port: number; readonly cut: () => void }>>()
  return {
    enter(boxId, port, cut) {
      const visits = boxes.get(boxId) ?? new Set()
      if (visits.size >= mostOfBox) {
        throw new GibilError('busy', `The ports of the box have ${visits.size} requests open, as many as they may.`, {
          hint: 'Try again when some of them have ended.',
        })
      }
      const visit = { port, cut }
      boxes.set(boxId, visits.add(visit))
      return () => {
        visits.delete(visit)
        if (visits.size === 0 && boxes.get(boxId) === visits) boxes.delete(boxId)
      }
    },
    cut(boxId, port) {
      for (const visit of [...(boxes.get(boxId) ?? [])]) if (visit.port === port) visit.cut()
    },
  }
}
