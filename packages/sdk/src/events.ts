import { setTimeout as sleep } from 'node:timers/promises'
import { Event, GibilError } from '@gibil/contract'
import { readEvents } from './connect/sse.ts'
import { parseAnswer, type Transport } from './connect/transport.ts'

export interface EventsOptions {
  /** Only those of one box, by name or id. */
  readonly box?: string | undefined
  /** The number of the last event seen: kept events after it come first. Without it only new ones come. */
  readonly after?: number | undefined
  /** Whether to go on with what happens from now on; default true. */
  readonly follow?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  /** How long to try to come back after the connection dropped. Default 60 000 ms. */
  readonly reconnectMs?: number | undefined
}

const retryable: ReadonlySet<string> = new Set(['daemon_unreachable', 'interrupted', 'busy'])

/** What happens to boxes, as it happens; goes on after the daemon was restarted, and misses nothing that it keeps. */
export async function* watchEvents(transport: Transport, options: EventsOptions = {}): AsyncGenerator<Event> {
  const { box, follow = true, signal, reconnectMs = 60_000 } = options
  const query = { box, ...(follow ? {} : { follow: '0' }) }
  let last = options.after
  let connected = false
  let deadline = 0
  let pause = 100
  while (!signal?.aborted) {
    try {
      const headers = last === undefined ? {} : { 'last-event-id': String(last) }
      for await (const message of readEvents(transport, 'GET', '/events', { query, headers, signal })) {
        connected = true
        deadline = 0
        pause = 100
        const event = parseAnswer(Event, message.data, 'events')
        last = event.seq
        yield event
      }
      if (!follow) return
    } catch (error) {
      if (signal?.aborted) return
      if (!GibilError.is(error) || !retryable.has(error.code) || !(connected || last !== undefined)) throw error
      deadline ||= Date.now() + reconnectMs
      if (Date.now() > deadline) throw error
    }
    await sleep(pause, undefined, signal ? { signal } : {}).catch(() => undefined)
    pause = Math.min(pause * 2, 2000)
  }
}
