import { setTimeout as sleep } from 'node:timers/promises'
import type { Silence } from '@gibil/core'
import { directoriesIn, type Log, readNow } from '@gibil/host'

/** Asks machines now and then whether they are well, and tells of those that do not answer. */
export interface Heartbeat {
  /** `found`: it ran before, and was perhaps silent, so its first answer is told too. */
  watch(id: string, pid: number, how?: { readonly found: boolean }): void
  /** It is about to be paused or ended on purpose. */
  forget(id: string): void
  close(): void
}

/** `unknown`: it was not the machine's fault that no answer came. */
export type Answer = 'well' | 'silent' | 'unknown'

interface HeartbeatDeps {
  /** Asks the machine's boxd. */
  readonly ask: (id: string, limitMs: number) => Promise<Answer>
  /** Asks once more while nothing else is done to the machine, and no longer than `limitMs`. `waitsFor`: why it cannot answer, and will by itself. */
  readonly confirm: (id: string, limitMs: number) => Promise<Answer | { readonly waitsFor: string }>
  readonly tell: (id: string, silence: Omit<Silence, 'console'> | null) => void
  readonly log: Log
}

/** From one answer to the next question. All together a silence is told 4.5 s after it began, where the host is not busy. */
const everyMs = 2000
const answerMs = 2000
const confirmMs = 500
/** The one timer: boxes are asked each in its own time, never all at once. */
const tickMs = 250
/** With so much processor time a machine that is well has answered. */
const enoughMs = 1000
/** One that waited for a processor for a smaller part of the time was not kept from answering by the host. */
const fairShare = 0.25

interface Watched {
  readonly pid: number
  dueAt: number
  /** When it was asked first without an answer, and what time it had been given till then. */
  since: { readonly at: number; readonly times: Times | undefined } | undefined
  told: boolean
}

export function createHeartbeat({ ask, confirm, tell, log }: HeartbeatDeps): Heartbeat {
  const watched = new Map<string, Watched>()
  let timer: NodeJS.Timeout | undefined

  const beat = async (id: string, one: Watched): Promise<void> => {
    const begun = { at: performance.now(), times: timesOf(one.pid) }
    const first = await ask(id, answerMs)
    if (watched.get(id) !== one) return
    if (first === 'unknown') return
    if (first === 'well') return heard(id, one)
    one.since ??= begun
    const silentMs = performance.now() - one.since.at
    // A refusal comes at once, as from a machine on its way down.
    if (silentMs < answerMs) await sleep(answerMs - silentMs, undefined, { ref: false })
    if (!hadItsChance(one)) return
    const second = await confirm(id, confirmMs)
    if (watched.get(id) !== one) return
    if (second === 'well') return heard(id, one)
    if (second === 'unknown') return
    one.told = true
    const forMs = performance.now() - one.since.at
    if (second === 'silent') return tell(id, { forMs })
    // Its waiting is not counted to a silence that may follow.
    one.since = undefined
    tell(id, { forMs, ...second })
  }
  const heard = (id: string, one: Watched): void => {
    one.since = undefined
    if (!one.told) return
    one.told = false
    tell(id, null)
  }
  const tick = (): void => {
    const now = performance.now()
    for (const [id, one] of watched) {
      if (one.dueAt > now) continue
      one.dueAt = Number.POSITIVE_INFINITY
      beat(id, one)
        .catch((error) => log('debug', 'a machine could not be asked', { id, error: String(error) }))
        .finally(() => {
          one.dueAt = performance.now() + (one.since || one.told ? tickMs : everyMs)
        })
    }
    if (watched.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  return {
    watch(id, pid, { found } = { found: false }) {
      // At another moment than those that were found together.
      const dueAt = performance.now() + Math.random() * everyMs
      watched.set(id, { pid, dueAt, since: undefined, told: found })
      timer ??= setInterval(tick, tickMs).unref()
    },
    forget: (id) => void watched.delete(id),
    close() {
      clearInterval(timer)
      watched.clear()
    },
  }
}

/** How long threads of a process have run, and have waited for a processor though they could run, in ms. */
interface Times {
  readonly ranMs: number
  readonly waitedMs: number
}

/** Documentation/scheduler/sched-stats.rst of Linux. Undefined where the kernel does not count, or the process is gone. */
function timesOf(pid: number): Times | undefined {
  let [ranNs, waitedNs, threads] = [0, 0, 0]
  for (const thread of directoriesIn(`/proc/${pid}/task`)) {
    const [ran, waited] = (readNow(`/proc/${pid}/task/${thread}/schedstat`) ?? '').split(' ').map(Number)
    if (ran === undefined || waited === undefined) continue
    ranNs += ran
    waitedNs += waited
    threads += 1
  }
  return threads === 0 ? undefined : { ranMs: ranNs / 1e6, waitedMs: waitedNs / 1e6 }
}

function hadItsChance({ pid, since }: Watched): boolean {
  const now = timesOf(pid)
  if (!since?.times || !now) return true
  const passedMs = performance.now() - since.at
  const waitedMs = now.waitedMs - since.times.waitedMs
  return now.ranMs - since.times.ranMs >= enoughMs || waitedMs < passedMs * fairShare
}
