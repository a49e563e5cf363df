import { GibilError } from '@gibil/contract'
import type { Owner } from '../box-record.ts'

/** Lets so many through at once, and so many wait. */
export interface Gate {
  /**
   * Those who wait come in turn by owner, so that one who asks for much holds up the others by one turn each. Throws `busy` when
   * the owner has as many waiting as there are places left: whatever one of them asks for, there is room for the next.
   */
  run<T>(work: () => Promise<T>, owner?: Owner): Promise<T>
  /** How many it has let through that have not ended. */
  running(): number
}

const retryAfterSeconds = 2

export function createGate(concurrency: number, places = Number.POSITIVE_INFINITY): Gate {
  let running = 0
  let waiting = 0
  /** In the order of their turns: who has had one goes to the end. */
  const queues = new Map<Owner, (() => void)[]>()

  const wait = (owner: Owner): Promise<void> => {
    const queue = queues.get(owner) ?? []
    if (queue.length >= places - waiting) {
      throw new GibilError(
        'busy',
        `${running} creates are under way and ${waiting} wait already, ${queue.length} of them yours.`,
        {
          details: { retryAfterSeconds },
        },
      )
    }
    queues.set(owner, queue)
    waiting += 1
    return new Promise((resolve) => queue.push(resolve))
  }
  const next = (): (() => void) | undefined => {
    for (const [owner, queue] of queues) {
      const first = queue.shift()
      queues.delete(owner)
      if (queue.length > 0) queues.set(owner, queue)
      waiting -= 1
      return first
    }
    return undefined
  }

  return {
    running: () => running,
    async run(work, owner = null) {
      // The one that leaves hands its place over, so that nobody can come between.
      if (running >= concurrency) await wait(owner)
      else running += 1
      try {
        return await work()
      } finally {
        const follower = next()
        if (follower) follower()
        else running -= 1
      }
    },
  }
}
