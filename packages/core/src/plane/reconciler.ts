import { type ErrorCode, GibilError } from '@gibil/contract'
import { cloudSeen, withCloud } from '../box/charges.ts'
import { toFailure } from '../box/failure.ts'
import { nextStep, type Step } from '../box/next-step.ts'
import { observe } from '../box/observe.ts'
import type { BoxRecord } from '../box-record.ts'
import type { Silence } from '../ports/driver.ts'
import { createKeyedQueue } from '../util/keyed-queue.ts'
import type { Context } from './context.ts'
import { createEndings } from './endings.ts'
import { createPerform } from './steps.ts'

/** Brings boxes from what they are to what they should be: one step on one box at a time, in order. */
export interface Reconciler {
  /** Resolves when the box is as its record wants it; rejects with what hindered it. A failed destroy is tried again later. */
  converge(id: string): Promise<void>
  /** The same in the background, and again after a while when it fails. */
  poke(id: string): void
  /** Ends what is under way for a box, which then rejects with that reason. */
  interrupt(id: string, reason: GibilError): void
  /** Does something with a box while no step is under way for it. The signal aborts as it would for a step. */
  alone<T>(id: string, work: (signal: AbortSignal) => Promise<T>): Promise<T>
  /** Asks the driver what a box is, and writes it down. */
  look(id: string): Promise<void>
  /** What a driver heard, or did not, of a box that runs. */
  hear(id: string, silence: Silence | null): Promise<void>
  /** Removes a box that no record knows; true when it did. */
  removeOrphan(id: string, destroy: () => Promise<void>): Promise<boolean>
  /** Resolves when no step is under way. */
  idle(): Promise<void>
}

export interface SetupKeeper {
  /** Looks whether set-up of a running box has to begin, and begins it. `fresh`: it was made or started just now, by us. */
  settle(record: BoxRecord, fresh: boolean): Promise<void>
  cancel(id: string, reason: GibilError): Promise<void>
  /** How a box with a set-up script begins: as what that made, if it is kept. */
  beginningOf(record: BoxRecord): Promise<Partial<BoxRecord>>
}

/** Before anything of a box was changed. */
const cannotBeAdopted: ReadonlySet<ErrorCode> = new Set(['box_not_found', 'cloud_unauthorized'])

/** More steps in a row than any box needs. */
const maxSteps = 20

export function createReconciler(context: Context, setups: SetupKeeper): Reconciler {
  const { boxes, backoff, deps, drivers, policy, stopping } = context
  const queue = createKeyedQueue()
  const running = new Map<string, AbortController>()
  const made = new Map<string, 'create' | 'start'>()
  const perform = createPerform(context, {
    made: (id, kind) => void made.set(id, kind),
    gone: (id) => setups.cancel(id, new GibilError('cancelled', 'The box is being destroyed.')),
    beginning: (record) => setups.beginningOf(record),
  })

  const interruptible = async <T>(id: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    const interrupt = new AbortController()
    running.set(id, interrupt)
    try {
      return await work(AbortSignal.any([interrupt.signal, stopping]))
    } finally {
      running.delete(id)
    }
  }

  /** What a failed step means. Returns true when the loop goes on with another step. */
  const afterFailure = async (step: Step, record: BoxRecord, error: GibilError): Promise<boolean> => {
    stopping.throwIfAborted()
    const latest = await boxes.get(record.id)
    if (!latest) return true
    if (latest.desired === 'gone' && step !== 'destroy') return true
    if (step === 'create' || step === 'remake') {
      await boxes.update(record.id, () => ({ desired: 'gone', status: 'destroying', failure: toFailure(error) }))
      return true
    }
    // Nothing came of it, so it stays with whoever has it. Else it may be ours already, and nobody would know of it without its record.
    if (step === 'adopt' && cannotBeAdopted.has(error.code)) {
      if (record.status === 'creating') await boxes.remove(record)
      else await boxes.update(record.id, () => ({ adopting: false, desired: 'stopped' }))
      return true
    }
    // The box stays what it was, which is written down already.
    if (step === 'restore') return false
    const count = backoff.failed(record.id, () => poke(record.id))
    deps.log.warn({ box: record.id, step, count, err: error }, 'a step failed')
    // What there is nothing left of does not come back.
    const isOver = error.code === 'box_ended' || count >= policy.startAttempts
    if (step === 'start' && isOver) await endings.giveUp(record.id, error)
    await boxes.touch(record.id)
    return false
  }

  const converge = (id: string): Promise<void> =>
    queue.run(id, async () => {
      let failure: GibilError | undefined
      for (let count = 0; count < maxSteps; count += 1) {
        stopping.throwIfAborted()
        const record = await boxes.get(id)
        const step = record && nextStep(record)
        if (!record || !step) {
          const kind = made.get(id)
          made.delete(id)
          // A start brings back services; a clone or tasks that were cut off are another matter.
          const fresh = kind === 'create' || (kind === 'start' && record?.readiness === 'services')
          if (record) await setups.settle(record, fresh)
          else backoff.clear(id)
          break
        }
        try {
          await interruptible(id, (signal) => perform(step, record, signal))
          if (step !== 'start') backoff.clear(id)
        } catch (error) {
          const cause = GibilError.from(error)
          failure ??= cause
          if (!(await afterFailure(step, record, cause))) throw failure
        }
      }
      if (failure) throw failure
    })

  const poke = (id: string): void => {
    // Its turn comes when the wait is over.
    if (backoff.waits(id) || stopping.aborted) return
    converge(id).catch((error) => {
      if (!stopping.aborted) deps.log.debug({ box: id, err: error }, 'a box is not yet as it should be')
    })
  }

  const endings = createEndings(context, poke)

  const look = (id: string): Promise<void> =>
    queue.run(id, async () => {
      const before = await boxes.get(id)
      if (!before || before.desired === 'gone') return
      const actual = await drivers.for(before).inspect(id)
      await boxes.update(id, (latest) => withCloud(latest, cloudSeen(latest.cloud, actual), deps.clock.now()))
      const found = observe(before, actual)
      if (!found) return
      await boxes.update(id, (latest) => observe(latest, actual)?.patch, found.note)
      const { status } = found.patch
      if (status !== 'stopped' && status !== 'failed') return
      const reason = String(found.note['reason'])
      await setups.cancel(id, new GibilError('interrupted', `The box ended during its set-up: ${reason}.`))
      // One that was to be started anew has the first half of that behind it.
      if (status !== 'stopped' || before.desired !== 'running' || before.restart) return
      const { asked, console } = actual ?? {}
      await endings.ended(before, { reason, asked, itsOwn: actual?.reason !== undefined, console })
    })

  /** A box that stays silent for too long is ended, and then it is one that ended by itself; but for one that waits for something and loses nothing by it. */
  const hear = async (id: string, silence: Silence | null): Promise<void> => {
    const heard = await boxes.get(id)
    if (heard?.status !== 'running') return
    await queue.run(id, async () => {
      const record = await boxes.get(id)
      // What was heard of a box before a start says nothing of it after.
      if (record?.status !== 'running' || record.desired === 'gone' || record.startedAt !== heard.startedAt) return
      const since = record.unresponsiveSince ?? null
      if (silence === null) {
        if (since !== null) await boxes.update(id, () => ({ unresponsiveSince: null }))
        return
      }
      const { forMs, waitsFor = null, console = '' } = silence
      if (waitsFor !== null || forMs < policy.hungAfterMs) {
        if (since !== null && waitsFor === (record.waitsFor ?? null)) return
        const patch = { unresponsiveSince: since ?? deps.clock.now() - forMs, waitsFor }
        await boxes.update(id, () => patch, { console, ...(waitsFor === null ? {} : { waitsFor }) })
        return
      }
      const reason = `it hung: no answer for ${Math.round(forMs / 1000)} s`
      await drivers.for(record).stop(id, 0)
      const note = { reason, byItself: true, console }
      await boxes.update(id, () => ({ status: 'stopped', address: null, restart: null, unresponsiveSince: null }), note)
      await setups.cancel(id, new GibilError('interrupted', `The box ended during its set-up: ${reason}.`))
      if (record.desired === 'running' && !record.restart) {
        await endings.ended(record, { reason, itsOwn: true, console })
      }
    })
    poke(id)
  }

  return {
    converge,
    poke,
    alone: (id, work) =>
      queue.run(id, async () => {
        stopping.throwIfAborted()
        return interruptible(id, work)
      }),
    interrupt: (id, reason) => running.get(id)?.abort(reason),
    look,
    hear,
    removeOrphan: (id, destroy) =>
      queue.run(id, async () => {
        if (await boxes.get(id)) return false
        await destroy()
        return true
      }),
    idle: () => queue.idle(),
  }
}
