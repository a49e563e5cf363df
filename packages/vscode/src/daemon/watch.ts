import { setTimeout as sleep } from 'node:timers/promises'
import { type Box, type Gibil, GibilError, type Snapshot } from '@gibil/sdk'

/** What is known of a daemon. */
export interface Seen {
  readonly state: 'looking' | 'connected' | 'unreachable' | 'refused'
  readonly problem: GibilError | undefined
  readonly boxes: readonly Box[]
  readonly snapshots: readonly Snapshot[]
}

export interface Watch {
  readonly seen: Seen
  /** Looks now. Resolves when that was told; failures are in `seen`. */
  refresh(): Promise<void>
  stop(): void
}

interface Settings {
  readonly onChange: (seen: Seen) => void
  /** How long to wait before a daemon that does not answer is asked again, in ms; default 2000. */
  readonly retryMs?: number
  /** How often to look although nothing was heard, for costs and what an event missed, in ms; default 15 000. */
  readonly refreshMs?: number
}

const nothing: Seen = { state: 'looking', problem: undefined, boxes: [], snapshots: [] }
/** By the daemon, or by its socket, which belongs to another user. */
const isRefused = ({ code, cause }: GibilError): boolean =>
  code === 'unauthorized' ||
  code === 'forbidden' ||
  (cause instanceof Error && 'code' in cause && cause.code === 'EACCES')

/** Events of one change come together. */
const settleMs = 50

/** Keeps an eye on the boxes of a daemon: by its events, and after it was away from the moment on that it is back. */
export function watchBoxes(gibil: Gibil, { onChange, retryMs = 2000, refreshMs = 15_000 }: Settings): Watch {
  const abort = new AbortController()
  const { signal } = abort
  let seen = nothing
  let looking: Promise<void> | undefined
  let again = false

  const tell = (next: Seen): void => {
    if (signal.aborted) return
    seen = next
    onChange(next)
  }
  const lost = (error: unknown): void => {
    if (signal.aborted) return
    const problem = GibilError.from(error)
    tell({ ...nothing, state: isRefused(problem) ? 'refused' : 'unreachable', problem })
  }
  const look = async (): Promise<void> => {
    do {
      again = false
      try {
        const [boxes, snapshots] = await Promise.all([gibil.list({ signal }), gibil.snapshots.list({ signal })])
        tell({ state: 'connected', problem: undefined, boxes, snapshots })
      } catch (error) {
        lost(error)
      }
    } while (again && !signal.aborted)
    looking = undefined
  }
  /** What changed while a look was under way is seen by another one. */
  const refresh = (): Promise<void> => {
    if (looking) again = true
    looking ??= look()
    return looking
  }

  async function follow(): Promise<void> {
    let settling: NodeJS.Timeout | undefined
    while (!signal.aborted) {
      await refresh()
      try {
        if (seen.state === 'connected') {
          for await (const _event of gibil.events({ signal, reconnectMs: 0 })) {
            // Not put off by the next one, or a busy daemon would never be looked at.
            settling ??= setTimeout(() => {
              settling = undefined
              void refresh()
            }, settleMs)
          }
        }
      } catch (error) {
        lost(error)
      }
      await sleep(retryMs, undefined, { signal }).catch(() => undefined)
    }
    clearTimeout(settling)
  }

  const timer = setInterval(() => void refresh(), refreshMs)
  void follow()
  return {
    get seen() {
      return seen
    },
    refresh,
    stop() {
      clearInterval(timer)
      abort.abort()
    },
  }
}
