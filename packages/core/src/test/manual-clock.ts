import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../ports/clock.ts'

export interface ManualClock extends Clock {
  /** Lets what was begun go on until it waits for time. */
  settle(): Promise<void>
  /** Lets time pass, with every timer at its moment. */
  advance(ms: number): Promise<void>
  /** Lets time pass as long as the promise needs, and gives what it gives. Fails when an hour is not enough. */
  until<T>(promise: Promise<T>, limitMs?: number): Promise<T>
  timers(): number
}

export function createManualClock(start = Date.UTC(2026, 0, 1)): ManualClock {
  let now = start
  let number = 0
  const timers = new Map<number, { at: number; callback: () => void }>()
  const settle = async (): Promise<void> => {
    for (let count = 0; count < 6; count += 1) await turn()
  }
  const nextTimer = () => [...timers].sort(([a, x], [b, y]) => x.at - y.at || a - b)[0]
  const fire = (): void => {
    const next = nextTimer()
    if (!next) return
    timers.delete(next[0])
    now = Math.max(now, next[1].at)
    next[1].callback()
  }
  return {
    now: () => now,
    after(ms, callback) {
      const id = ++number
      timers.set(id, { at: now + Math.max(0, ms), callback })
      return () => void timers.delete(id)
    },
    settle,
    async advance(ms) {
      const end = now + ms
      await settle()
      for (let next = nextTimer(); next && next[1].at <= end; next = nextTimer()) {
        fire()
        await settle()
      }
      now = Math.max(now, end)
      await settle()
    },
    async until(promise, limitMs = 3_600_000) {
      let done = false
      const watched = promise.finally(() => {
        done = true
      })
      watched.catch(() => undefined)
      const end = now + limitMs
      for (;;) {
        await settle()
        if (done) return watched
        const next = nextTimer()
        if (!next || next[1].at > end) throw new Error(`not done after ${limitMs} ms: ${timers.size} timers wait`)
        fire()
      }
    },
    timers: () => timers.size,
  }
}
