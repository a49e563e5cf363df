import { expect, test } from 'vitest'
import { median, summarize } from './stats.ts'

test('drops 5 % at each end before anything else is said', () => {
  const samples = Array.from({ length: 100 }, (_, index) => index + 1)
  const { median: middle, p95, p99, min, max } = summarize(samples)
  expect({ middle, p95, p99, min, max }).toEqual({ middle: 50.5, p95: 91, p99: 95, min: 1, max: 100 })
})

test('a failure costs its share of the score', () => {
  const whole = summarize([1000, 1000, 1000, 1000])
  expect(whole.score).toBeCloseTo(90)
  expect(summarize([1000, 1000, 1000], 1).score).toBeCloseTo(67.5)
  expect(summarize([], 3)).toMatchObject({ successRate: 0, score: 0, count: 3 })
})

test('beyond 10 s there are no points, and none are taken away', () => {
  expect(summarize([20_000]).score).toBe(0)
})

test('the median of an even number lies between two', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([])).toBeNaN()
})
