import { setTimeout as sleep } from 'node:timers/promises'
import { createBoxdClient } from '@gibil/boxd-client'
import { GibilError } from '@gibil/contract'
import type { Silence } from '@gibil/core'
import { createExitWatch, type ExitWatch, type KeyedLock } from '@gibil/host'
import type { Context } from './context.ts'
import { dialBoxd } from './control.ts'
import { type Answer, createHeartbeat } from './heartbeat.ts'
import { boxMachine } from './names.ts'
import { room, standsForRoom, tryAgain } from './out-of-room.ts'

export interface Watch extends ExitWatch {
  /** Watches one that an earlier daemon has started. */
  found(id: string, pid: number): void
}

/** Tells of boxes that end by themselves, and by `tell`, which is called as the port's `onSilence` says, of those that run and do not answer. */
export function createWatch(
  context: Context,
  locks: KeyedLock,
  tell: (id: string, silence: Silence | null) => void,
): Watch {
  const exits = createExitWatch(context.hostkit, context.log)
  const heart = createHeartbeat({
    log: context.log,
    ask: (id, limitMs) => ask(context, id, limitMs),
    // Whatever is done to the box comes first: it may hold the guest still meanwhile.
    confirm: (id, limitMs) => locks.run(id, () => confirm(context, id, limitMs)),
    tell(id, silence) {
      tell(id, silence && { ...silence, console: context.consoles.text(id).slice(-4096) })
    },
  })
  exits.onExit((id) => heart.forget(id))

  return {
    ...exits,
    watch(id, pid) {
      exits.watch(id, pid)
      heart.watch(id, pid)
    },
    found(id, pid) {
      exits.watch(id, pid)
      heart.watch(id, pid, { found: true })
    },
    forget(id) {
      heart.forget(id)
      exits.forget(id)
    },
    // Its last words are on their way.
    onExit: (listener) => exits.onExit((id) => void context.consoles.drained(id).then(() => listener(id))),
    close() {
      heart.close()
      exits.close()
    },
  }
}

async function ask(context: Context, id: string, limitMs: number): Promise<Answer> {
  let reached = false
  const dial = async (signal?: AbortSignal) => {
    const stream = await dialBoxd(context, boxMachine(context.names, id), signal)
    reached = true
    return stream
  }
  try {
    await createBoxdClient(dial, { answerMs: limitMs, signal: AbortSignal.timeout(limitMs) }).health()
    return 'well'
  } catch (error) {
    // Without a way to the machine nothing is known of it; and what answers nonsense is not silent.
    if (!reached) return 'unknown'
    const code = GibilError.is(error) ? error.code : undefined
    return code === 'boxd_unreachable' || code === 'cancelled' ? 'silent' : 'well'
  }
}

/** A machine that waits for room is let go on, and may find some. */
async function confirm(context: Context, id: string, limitMs: number): Promise<Answer | { waitsFor: string }> {
  const [answer, way, waits] = await Promise.all([
    ask(context, id, limitMs),
    // The way leads through it.
    Promise.race([
      context.hostkit.ping().then(
        () => true,
        () => false,
      ),
      sleep(limitMs, false, { ref: false }),
    ]),
    standsForRoom(context, id, limitMs),
  ])
  if (answer === 'silent' && waits) {
    await tryAgain(context, id)
    return { waitsFor: room }
  }
  return way ? answer : 'unknown'
}
