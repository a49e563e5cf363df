import { GibilError, type Progress } from '@gibil/contract'
import { expect, test } from 'vitest'
import { whileBusy } from './while-busy.ts'

const busy = (retryAfterSeconds?: number) =>
  new GibilError('busy', 'Enough for now.', retryAfterSeconds === undefined ? {} : { details: { retryAfterSeconds } })

/** Answers with each in turn; what is thrown is an error. */
function answering(...answers: readonly (GibilError | string)[]): { ask: () => Promise<string>; asked: () => number } {
  let asked = 0
  return {
    asked: () => asked,
    ask: async () => {
      const answer = answers[asked] ?? 'too often'
      asked += 1
      if (typeof answer === 'string') return answer
      throw answer
    },
  }
}

test('asks again, later each time, and tells that it waits', async () => {
  const told: Progress[] = []
  const daemon = answering(busy(0.1), busy(0.1), 'made')
  const begin = performance.now()
  expect(await whileBusy(daemon.ask, { onProgress: (progress) => told.push(progress) }, () => 0)).toBe('made')
  expect(performance.now() - begin).toBeGreaterThanOrEqual(240)
  expect(told.map(({ phase }) => phase)).toEqual(['busy', 'busy'])
})

test('any other failure is told at once', async () => {
  const daemon = answering(new GibilError('limit_reached', 'No more.'), 'made')
  await expect(whileBusy(daemon.ask, {})).rejects.toMatchObject({ code: 'limit_reached' })
  expect(daemon.asked()).toBe(1)
})

test.each([3600, Number.NaN, Number.POSITIVE_INFINITY])('a wait of %s s is not waited for', async (seconds) => {
  const daemon = answering(busy(seconds), busy(seconds), busy(seconds), busy(seconds), busy(seconds), 'made')
  await expect(whileBusy(daemon.ask, {})).rejects.toMatchObject({ code: 'busy' })
  expect(daemon.asked()).toBe(1)
})

test('is given up when the caller is', async () => {
  const leave = new AbortController()
  const waits = whileBusy(answering(busy(10), 'made').ask, { signal: leave.signal })
  leave.abort()
  await expect(waits).rejects.toMatchObject({ code: 'cancelled' })
})
