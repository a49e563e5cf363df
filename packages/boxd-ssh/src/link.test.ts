import { GibilError } from '@gibil/contract'
import { beforeEach, expect, test, vi } from 'vitest'
import type { Connection } from './connection.ts'
import { keepLink, type Link } from './link.ts'

/** Pauses end when the test says so. */
let pauses: { ms: number; over: () => void }[]
/** Attempts end as the test says. */
let attempts: { succeed: () => () => void; fail: (error: GibilError) => void }[]
let link: Link

const unreachable = new GibilError('boxd_unreachable', 'no route')
const stranger = new GibilError('host_key_mismatch', 'another machine')

beforeEach(() => {
  pauses = []
  attempts = []
  link = keepLink({
    id: 'b1',
    log: () => undefined,
    clock: {
      now: () => 0,
      after(ms, over) {
        pauses.push({ ms, over })
        return () => undefined
      },
    },
    connect: () =>
      new Promise((resolve, reject) => {
        attempts.push({
          succeed() {
            let lose = (): void => undefined
            const connection = {
              onLost(listener: (why: GibilError) => void) {
                lose = () => listener(unreachable)
                return () => undefined
              },
              end: vi.fn(),
            }
            resolve(connection as unknown as Connection)
            return () => lose()
          },
          fail: reject,
        })
      }),
  })
})

const attempt = async (number: number) => {
  await expect.poll(() => attempts.length).toBe(number)
  const found = attempts[number - 1]
  if (!found) throw new Error('no attempt')
  return found
}
const pause = async (number: number) => {
  await expect.poll(() => pauses.length).toBe(number)
  const found = pauses[number - 1]
  if (!found) throw new Error('no pause')
  return found
}

test('nothing is tried before somebody asks, and all who ask share one attempt', async () => {
  expect(attempts).toEqual([])
  const both = Promise.all([link.get(), link.get()])
  ;(await attempt(1)).succeed()
  const [one, other] = await both
  expect(one).toBe(other)
  expect(await link.get()).toBe(one)
  expect(attempts.length).toBe(1)
})

test('what fails is tried again by itself after pauses that grow, and who asks meanwhile waits for the next', async () => {
  const first = link.get()
  ;(await attempt(1)).fail(unreachable)
  await expect(first).rejects.toBe(unreachable)
  const lengths: number[] = []
  for (let number = 1; number <= 8; number += 1) {
    const { ms, over } = await pause(number)
    lengths.push(ms)
    const waiting = link.get()
    expect(attempts.length).toBe(number)
    over()
    ;(await attempt(number + 1)).fail(unreachable)
    await expect(waiting).rejects.toBe(unreachable)
  }
  expect(lengths).toEqual([400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000])
})

test('a connection that is lost is made again by itself, and the pauses begin anew', async () => {
  const first = link.get()
  const lose = (await attempt(1)).succeed()
  await first
  lose()
  const { ms, over } = await pause(1)
  expect(ms).toBe(200)
  over()
  ;(await attempt(2)).succeed()
  expect(await link.get()).not.toBe(await first)
})

test('another machine is not tried again until somebody asks', async () => {
  const first = link.get()
  ;(await attempt(1)).fail(stranger)
  await expect(first).rejects.toBe(stranger)
  expect(pauses).toEqual([])
  const second = link.get()
  ;(await attempt(2)).succeed()
  await second
})

test('who gives up does not stop the attempt', async () => {
  const stop = new AbortController()
  const given = link.get(stop.signal)
  stop.abort()
  await expect(given).rejects.toMatchObject({ code: 'cancelled' })
  ;(await attempt(1)).succeed()
  expect(await link.get()).toBeDefined()
})

test('after the end nothing is tried, and what still comes is ended', async () => {
  const waiting = link.get()
  const late = await attempt(1)
  link.close()
  late.succeed()
  await expect(waiting).rejects.toMatchObject({ code: 'boxd_unreachable', message: expect.stringContaining('closed') })
  await expect(link.get()).rejects.toMatchObject({ code: 'boxd_unreachable' })
  expect(pauses).toEqual([])
})
