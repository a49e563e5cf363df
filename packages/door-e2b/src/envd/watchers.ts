import { Code, ConnectError } from '@connectrpc/connect'
import type { Change, FileEvent } from '../gen/filesystem_pb.js'

/** Watches whose clients come for what has happened, instead of listening. They are in memory, and gone with the daemon. */
export interface Watchers {
  /** Resolves when nothing is missed any more. */
  open(boxId: string, id: string, watch: (signal: AbortSignal) => AsyncIterable<Change>): Promise<void>
  /** What has happened since the last call. Throws `not_found`, and what ended the watch. */
  take(boxId: string, id: string): FileEvent[]
  close(boxId: string, id: string): void
}

interface Watcher {
  readonly boxId: string
  readonly abort: AbortController
  events: FileEvent[]
  failure: unknown
  lastAsked: number
}

const mostWatchers = 256
/** Of one watcher, until they are asked for. */
const mostEvents = 10_000
/** Nobody comes for it any more. */
const forgottenMs = 10 * 60_000

export function createWatchers(): Watchers {
  const all = new Map<string, Watcher>()
  const end = (id: string): void => {
    all.get(id)?.abort.abort()
    all.delete(id)
  }
  const find = (boxId: string, id: string): Watcher => {
    const watcher = all.get(id)
    if (watcher?.boxId !== boxId) throw new ConnectError(`watcher with id ${id.slice(0, 80)} not found`, Code.NotFound)
    return watcher
  }
  return {
    async open(boxId, id, watch) {
      for (const [old, { lastAsked }] of all) if (Date.now() - lastAsked > forgottenMs) end(old)
      if (all.size >= mostWatchers) throw new ConnectError('There are too many watchers.', Code.ResourceExhausted)
      const watcher: Watcher = {
        boxId,
        abort: new AbortController(),
        events: [],
        failure: undefined,
        lastAsked: Date.now(),
      }
      all.set(id, watcher)
      const ready = Promise.withResolvers<void>()
      const listen = async (): Promise<void> => {
        for await (const { event } of watch(watcher.abort.signal)) {
          if (event.case === 'start') ready.resolve()
          if (event.case !== 'filesystem') continue
          if (watcher.events.length >= mostEvents)
            throw new ConnectError('Changes were not asked for in time.', Code.DataLoss)
          watcher.events.push(event.value)
        }
      }
      listen().catch((error) => {
        watcher.failure = error
        ready.reject(error)
      })
      await ready.promise.catch((error) => {
        end(id)
        throw error
      })
    },
    take(boxId, id) {
      const watcher = find(boxId, id)
      watcher.lastAsked = Date.now()
      const { events, failure } = watcher
      watcher.events = []
      if (events.length === 0 && failure !== undefined) throw failure
      return events
    },
    close(boxId, id) {
      find(boxId, id)
      end(id)
    },
  }
}
