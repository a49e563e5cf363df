import { type Event, type EventType, GibilError } from '@gibil/contract'
import type { Owner } from '../box-record.ts'
import type { Clock } from '../ports/clock.ts'
import type { Store } from '../ports/store.ts'
import { abortable } from '../util/timing.ts'

export interface EventsWanted {
  /** Those that are kept after this `seq` come first; absent: only new ones. */
  readonly afterSeq?: number
  readonly boxId?: string
  /** Of his boxes, and those of no box. */
  readonly owner?: Owner
  /** Whether to go on with what happens from now on; default true. */
  readonly live?: boolean
  readonly signal: AbortSignal
}

export interface EventLog {
  append(
    type: EventType,
    box: { id: string; name: string; owner: Owner } | null,
    data?: Readonly<Record<string, unknown>>,
  ): Promise<void>
  /**
   * Events after `afterSeq` that are kept, then live ones. A subscriber holds a number and no buffer: however slow it is, it reads
   * from the store. One so slow that events were dropped before it came gets `limit_reached`.
   */
  follow(options: EventsWanted): AsyncIterable<Event>
}

const pageSize = 200

export function createEventLog(store: Store, clock: Clock): EventLog {
  let wake = Promise.withResolvers<void>()

  return {
    async append(type, box, data = {}) {
      const at = new Date(clock.now()).toISOString()
      await store.appendEvent({
        at,
        type,
        boxId: box?.id ?? null,
        boxName: box?.name ?? null,
        owner: box?.owner ?? null,
        data,
      })
      const waiting = wake
      wake = Promise.withResolvers()
      waiting.resolve()
    },

    async *follow({ afterSeq, boxId, owner, live: goOn = true, signal }) {
      let seq = afterSeq ?? (await store.lastEventSeq())
      let live = afterSeq === undefined
      while (!signal.aborted) {
        const next = wake.promise
        const page = await store.listEvents(seq, pageSize)
        for (const event of page) {
          if (live && event.seq > seq + 1) {
            throw new GibilError(
              'limit_reached',
              `Events ${seq + 1} to ${event.seq - 1} are no longer kept: they were read too slowly.`,
              {
                hint: `Call again with afterSeq=${event.seq - 1}.`,
                details: { from: seq + 1, to: event.seq - 1 },
              },
            )
          }
          live = true
          seq = event.seq
          const his = owner === undefined || event.boxId === null || event.owner === owner
          if (his && (boxId === undefined || event.boxId === boxId)) yield event
          if (signal.aborted) return
        }
        live = true
        if (page.length > 0) continue
        if (!goOn) return
        await abortable(next, signal).catch(() => undefined)
      }
    },
  }
}
