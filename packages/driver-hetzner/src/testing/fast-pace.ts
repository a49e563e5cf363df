import type { Pace } from '../client/pace.ts'

/** Time that passes when somebody waits for it, and at once. */
export function fastPace(): Pace & { readonly waited: number[] } {
  let now = Date.now()
  const waited: number[] = []
  return {
    waited,
    now: () => now,
    async sleep(ms, signal) {
      signal?.throwIfAborted()
      waited.push(ms)
      now += ms
      // Lets what is under way come to its end: a server in the same process answers meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 1))
      signal?.throwIfAborted()
    },
    random: () => 0,
  }
}
