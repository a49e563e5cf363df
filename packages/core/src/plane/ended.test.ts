import type { Event, EventType } from '@gibil/contract'
import { expect, test } from 'vitest'
import { endOf } from './ended.ts'

const event = (seq: number, type: EventType, boxId: string, boxName: string, owner: string | null = null): Event => ({
  seq,
  type,
  boxId,
  boxName,
  owner,
  at: `2026-01-01T00:00:0${seq}.000Z`,
  data: {},
})
const events = [
  event(1, 'box.destroyed', 'a', 'work'),
  event(2, 'box.expired', 'b', 'work'),
  event(3, 'box.destroyed', 'b', 'work'),
  event(4, 'box.destroyed', 'c', 'theirs', 'ci'),
  event(5, 'box.running', 'd', 'lives'),
]
const store = { lastEventSeq: async () => 5, listEvents: async () => events }

test.each([
  ['work', null, { name: 'work', at: '2026-01-01T00:00:03.000Z', expired: true }],
  ['a', null, { name: 'work', at: '2026-01-01T00:00:01.000Z', expired: false }],
  ['theirs', 'ci', { name: 'theirs', at: '2026-01-01T00:00:04.000Z', expired: false }],
  ['theirs', null, undefined],
  ['lives', null, undefined],
])('the end of %s, as %s knows it', async (ref, owner, end) => {
  expect(await endOf(store, ref, owner)).toEqual(end)
})
