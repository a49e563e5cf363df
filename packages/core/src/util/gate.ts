import { GibilError } from '@gibil/contract'

/** Lets so many through at once, and so many wait. */
export interface Gate {
  /** Throws `busy` when too many wait already. */
  run<T>(work: () => Promise<T>): Promise<T>
  /** How many it has let through that have not ended. */
  running(): number
}

export function createGate(concurrency: number, queueLimit: number): Gate {
  let running = 0
  const waiting: (() => void)[] = []
  return {
    running: () => running,
    async run(work) {
      if (running >= concurrency) {
        if (waiting.length >= queueLimit) {
          throw new GibilError('busy', `${running} creates are under way and ${waiting.length} wait already.`, {
            details: { retryAfterSeconds: 2 },
          })
        }
        // The one that leaves hands its place over, so that nobody can come between.
        await new Promise<void>((resolve) => waiting.push(resolve))
      } else running += 1
      try {
        return await work()
      } finally {
        const next = waiting.shift()
        if (next) next()
        else running -= 1
      }
    },
  }
}
