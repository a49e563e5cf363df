import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from '@gibil/store'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Store } from '../index.ts'
import { createManualClock } from '../test/manual-clock.ts'
import { createEventLog, type EventLog, type EventsWanted } from './event-log.ts'

let dir = ''
let store: Store
let log: EventLog
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-events-'))
  store = openStore(join(dir, 'gibil.db'), { keptEvents: 50 })
  log = createEventLog(store, createManualClock())
})
afterEach(async () => {
  await store.close()
  await rm(dir, { recursive: true, force: true })
})

const append = async (count: number, id = 'bx1') => {
  for (let n = 0; n < count; n += 1) await log.append('box.phase', { id, name: 'w', owner: null }, { n })
}
const take = async (count: number, options: Omit<EventsWanted, 'signal'>, leave = new AbortController()) => {
  const seqs: number[] = []
  for await (const { seq } of log.follow({ ...options, signal: leave.signal })) {
    seqs.push(seq)
    if (seqs.length === count) break
  }
  return seqs
}

describe('following events', () => {
  test('gives what is kept and then what comes, each once and in order', async () => {
    await append(3)
    const following = take(6, { afterSeq: 1 })
    await append(4)
    expect(await following).toEqual([2, 3, 4, 5, 6, 7])
  })

  test('without a number gives only what comes', async () => {
    await append(3)
    const following = take(2, {})
    await new Promise(setImmediate)
    await append(2)
    expect(await following).toEqual([4, 5])
  })

  test('of one box gives that box only', async () => {
    await append(2, 'bx1')
    await append(2, 'bx2')
    expect(await take(2, { afterSeq: 0, boxId: 'bx2' })).toEqual([3, 4])
  })

  test('ends after what is kept where nobody wants what comes', async () => {
    await append(3)
    expect(await take(10, { afterSeq: 1, live: false })).toEqual([2, 3])
    expect(await take(10, { afterSeq: 3, live: false })).toEqual([])
  })

  test('ends when the signal aborts, also while nothing happens', async () => {
    const leave = new AbortController()
    const following = take(10, {}, leave)
    await new Promise(setImmediate)
    leave.abort()
    expect(await following).toEqual([])
  })

  test('tells one who was too slow for what is kept', async () => {
    const leave = new AbortController()
    await append(1)
    const events = log.follow({ afterSeq: 0, signal: leave.signal })[Symbol.asyncIterator]()
    expect((await events.next()).value).toMatchObject({ seq: 1 })
    await append(100)
    await expect(
      (async () => {
        for (;;) await events.next()
      })(),
    ).rejects.toMatchObject({ code: 'limit_reached', details: { from: 2, to: 51 } })
  })
})
