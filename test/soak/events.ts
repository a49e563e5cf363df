import { Gibil, GibilError } from '@gibil/sdk'
import type { SoakDaemon } from './daemon.ts'
import { must, mustEqual } from './failure.ts'

/** Follows all events over all kills: none is missing, and each box that was created is destroyed once. */
export interface EventCheck {
  readonly failed: Promise<never>
  /** When nothing is left of any box. */
  end(): Promise<void>
}

export function followEvents(daemon: SoakDaemon): EventCheck {
  const gibil = Gibil.connect({ home: daemon.home.path })
  const abort = new AbortController()
  const of = { name: 'events', history: [] }
  const lives = new Map<string, string[]>()
  let seen = 0

  const follow = async (): Promise<void> => {
    for await (const { seq, type, boxId } of gibil.events({ after: 0, signal: abort.signal, reconnectMs: 120_000 })) {
      mustEqual(of, 'the number of an event', seq, seen + 1)
      seen = seq
      if (boxId !== null && (type === 'box.created' || type === 'box.destroyed')) {
        lives.set(boxId, [...(lives.get(boxId) ?? []), type])
      }
    }
  }
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => undefined)
  const followed = follow().catch((error) => {
    if (!abort.signal.aborted || !GibilError.is(error)) failed.reject(error)
  })

  return {
    failed: failed.promise,
    async end() {
      const whole = (): boolean => [...lives.values()].every((life) => life.at(-1) === 'box.destroyed')
      for (let tries = 0; !whole() && tries < 100; tries += 1) await new Promise((done) => setTimeout(done, 50))
      abort.abort()
      await followed
      gibil.close()
      for (const [id, life] of lives) mustEqual(of, `the life of ${id}`, life, ['box.created', 'box.destroyed'])
      must(of, 'there were no events', lives.size > 0)
    },
  }
}
