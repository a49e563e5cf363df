import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { Event } from '@gibil/contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createFakePlane, type FakePlane } from '../test/support/fake-plane.ts'
import { startTestDaemon, type TestDaemon } from '../test/support/test-daemon.ts'

let plane: FakePlane
let daemon: TestDaemon

beforeAll(async () => {
  plane = createFakePlane({})
  daemon = await startTestDaemon(plane)
  for (const name of ['one', 'two']) await daemon.call('POST', '/boxes', { body: { name } })
})
afterAll(() => daemon[Symbol.asyncDispose]())

interface Sent {
  readonly event: string
  readonly id: string | undefined
  readonly data: unknown
}

/** Server-sent events of a response, as they come. */
async function* sent(response: IncomingMessage): AsyncGenerator<Sent> {
  let rest = ''
  for await (const chunk of response.setEncoding('utf8')) {
    const blocks = (rest + chunk).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
      if (field('data') !== undefined) {
        yield { event: field('event') ?? 'message', id: field('id'), data: JSON.parse(field('data') ?? '') }
      }
    }
  }
}

const accept = { accept: 'text/event-stream' }

async function first(count: number, response: IncomingMessage): Promise<Sent[]> {
  const events: Sent[] = []
  for await (const event of sent(response)) {
    events.push(event)
    if (events.length === count) break
  }
  response.destroy()
  return events
}

test('a long call tells its progress, then its result', async () => {
  const response = await daemon.open('POST', '/boxes', { body: { name: 'three' }, headers: accept })
  expect(response.headers['content-type']).toContain('text/event-stream')
  const events = await first(9, response)
  expect(events.map(({ event }) => event)).toEqual(['progress', 'result'])
  expect(events[0]?.data).toEqual({ phase: 'start', ms: 21 })
  expect(events[1]?.data).toMatchObject({ name: 'three' })
})

test('a long call that fails ends with its error', async () => {
  const events = await first(9, await daemon.open('POST', '/boxes', { body: { name: 'one' }, headers: accept }))
  expect(events).toMatchObject([{ event: 'error', data: { error: { code: 'name_in_use' } } }])
})

test('a client that leaves ends the waiting of its call', async () => {
  const response = await daemon.open('POST', '/boxes', { body: { name: 'late', image: 'slow' }, headers: accept })
  await expect.poll(() => plane.waitingSignals.length).toBe(1)
  response.destroy()
  await expect.poll(() => plane.waitingSignals[0]?.aborted).toBe(true)
  expect(plane.waitingSignals[0]?.reason).toMatchObject({ code: 'cancelled' })
})

test('events since a number come first, then live ones', async () => {
  const response = await daemon.open('GET', '/events?after=0')
  const events = first(4, response)
  await sleep(20)
  plane.emit({ type: 'box.paused', boxId: 'b1', boxName: 'one' })
  const list = await events
  expect(list.map(({ id }) => id)).toEqual(['1', '2', '3', '4'])
  expect(list.map(({ data }) => Event.parse(data).type)).toEqual([
    'box.created',
    'box.created',
    'box.created',
    'box.paused',
  ])
  expect(list[3]?.event).toBe('box.paused')
})

test('Last-Event-ID goes on from there', async () => {
  const response = await daemon.open('GET', '/events', { headers: { 'last-event-id': '2' } })
  expect((await first(1, response))[0]?.id).toBe('3')
})

test('events of one box only, by its name', async () => {
  const response = await daemon.open('GET', '/events?after=0&box=two')
  plane.emit({ type: 'box.paused', boxId: 'b1', boxName: 'one' })
  plane.emit({ type: 'box.paused', boxId: 'b2', boxName: 'two' })
  const events = await first(2, response)
  expect(events.map(({ data }) => Event.parse(data).boxName)).toEqual(['two', 'two'])
})

test('events of a box that is not there are an ordinary error', async () => {
  expect(await daemon.call('GET', '/events?box=none')).toMatchObject({ status: 404 })
})

test('the log of set-up is read in parts, and followed to its end', async () => {
  const response = await daemon.open('GET', '/boxes/one/log/follow')
  plane.finishSetup('one', 'cloning\nready\n')
  expect(await first(9, response)).toMatchObject([
    { event: 'log', data: { text: 'cloning\nready\n', nextOffset: 14, done: false } },
    { event: 'log', data: { text: '', nextOffset: 14, done: true } },
  ])
  const part = await daemon.call('GET', '/boxes/one/log?offset=8&limit=5')
  expect(part.json).toEqual({ text: 'ready', nextOffset: 13, done: true })
  expect(await daemon.call('GET', '/boxes/none/log/follow')).toMatchObject({ status: 404 })
})
