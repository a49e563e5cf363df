/** What happens to boxes, as a stream. */
import * as z from 'zod'

export const EventType = z.enum([
  'box.created',
  'box.adopted',
  'box.phase',
  'box.readiness',
  'box.running',
  'box.paused',
  'box.resumed',
  'box.stopped',
  'box.failed',
  'box.unresponsive',
  'box.responsive',
  'box.extended',
  'box.expiring',
  'box.expired',
  'box.snapshot',
  'box.restored',
  'box.moved',
  'box.published',
  'box.unpublished',
  'box.destroying',
  'box.destroyed',
  'session.started',
  'session.ended',
  'image.added',
  'image.removed',
  'snapshot.removed',
])
export type EventType = z.infer<typeof EventType>

export const Event = z.object({
  seq: z.int().describe('grows by one; the id of the server-sent event'),
  at: z.iso.datetime(),
  type: EventType,
  boxId: z.string().nullable(),
  boxName: z.string().nullable(),
  owner: z.string().nullable().describe('of the box, as in a Box'),
  data: z.record(z.string(), z.unknown()),
})
export type Event = z.infer<typeof Event>
