import type { Event } from '@gibil/contract'
import * as z from 'zod'
import { type ServerSentEvent, streamEvents } from '../http/event-stream.ts'
import { type Route, route, stream, written } from '../http/route.ts'
import { flag, offset } from './query.ts'

export const eventRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/events',
    id: 'events',
    tag: 'boxes',
    summary: 'What happens to boxes, as it happens',
    description:
      'Server-sent events: the type as event name, `seq` as id, an Event as data. `after`, or the header Last-Event-ID, gives what was missed since that `seq` first.',
    query: z.strictObject({
      after: offset.optional(),
      follow: flag.optional().describe('0: ends after what is kept, instead of going on with what happens'),
      box: z.string().optional().describe('only events of this box, by name or id'),
    }),
    answer: stream('text/event-stream', 'Event events'),
    errors: ['box_not_found'],
    handle: async ({ query, request, response, signal }, { plane, daemon }) => {
      const boxId = query.box === undefined ? undefined : (await plane.get(query.box)).id
      const afterSeq = query.after ?? lastEventId(request.headers['last-event-id'])
      const source = plane.events({
        ...(afterSeq === undefined ? {} : { afterSeq }),
        ...(boxId === undefined ? {} : { boxId }),
        live: query.follow ?? true,
        signal: AbortSignal.any([signal, daemon.stopping]),
      })
      await streamEvents(response, asServerSent(source), { eager: true })
      return written
    },
  }),
]

function lastEventId(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : undefined
}

async function* asServerSent(source: AsyncIterable<Event>): AsyncGenerator<ServerSentEvent> {
  for await (const event of source) yield { event: event.type, id: event.seq, data: event }
}
