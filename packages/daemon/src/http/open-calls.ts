import { GibilError } from '@gibil/contract'
import type { Owner } from '@gibil/core'

/** What one caller may have going on at once. */
export interface OpenCalls {
  /** Counts a call of a token until the returned function is called. Throws `busy`. */
  enter(owner: string): () => void
  /**
   * Waits for one of the caller's few turns with a call whose answer is large, until the returned function is called. Rejects
   * with the reason of the signal.
   */
  enterLarge(owner: Owner, signal: AbortSignal): Promise<() => void>
}

/** Each holds its buffers, of up to about a mebibyte, for as long as its client does not read. */
const callsOfToken = 256
const largeAtOnce = 4

export function createOpenCalls(): OpenCalls {
  const calls = new Map<string, number>()
  const large = new Map<Owner, { running: number; readonly waiting: (() => void)[] }>()

  const leaveLarge = (owner: Owner): void => {
    const lane = large.get(owner)
    const next = lane?.waiting.shift()
    if (next) next()
    else if (lane) lane.running -= 1
    if (lane?.running === 0) large.delete(owner)
  }

  return {
    enter(owner) {
      const open = calls.get(owner) ?? 0
      if (open >= callsOfToken) {
        throw new GibilError('busy', `"${owner}" has ${open} calls open, which is as many as it may.`, {
          hint: 'End some of them, or try again after the time in Retry-After.',
          details: { retryAfterSeconds: 1 },
        })
      }
      calls.set(owner, open + 1)
      return once(() => {
        const left = (calls.get(owner) ?? 1) - 1
        if (left === 0) calls.delete(owner)
        else calls.set(owner, left)
      })
    },
    async enterLarge(owner, signal) {
      signal.throwIfAborted()
      const lane = large.get(owner) ?? { running: 0, waiting: [] }
      large.set(owner, lane)
      const leave = once(() => leaveLarge(owner))
      if (lane.running < largeAtOnce) {
        lane.running += 1
        return leave
      }
      await new Promise<void>((resolve, reject) => {
        const giveUp = (): void => {
          lane.waiting.splice(lane.waiting.indexOf(turn), 1)
          reject(signal.reason)
        }
        const turn = (): void => {
          signal.removeEventListener('abort', giveUp)
          resolve()
        }
        signal.addEventListener('abort', giveUp, { once: true })
        lane.waiting.push(turn)
      })
      return leave
    },
  }
}

function once(work: () => void): () => void {
  let done = false
  return () => {
    if (!done) work()
    done = true
  }
}
