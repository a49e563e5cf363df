import type { Clock } from '@gibil/core'

/** Longer waits overflow the timer of Node, which then fires at once. */
const longestTimerMs = 2 ** 31 - 1

/** The time of this machine. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, callback) {
    let timer: NodeJS.Timeout
    const wait = (left: number): void => {
      const part = Math.min(left, longestTimerMs)
      timer = setTimeout(() => (left > part ? wait(left - part) : callback()), Math.max(0, part))
      timer.unref()
    }
    wait(ms)
    return () => clearTimeout(timer)
  },
}
