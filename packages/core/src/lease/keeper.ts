import { GibilError } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'
import type { Context } from '../plane/context.ts'
import type { Reconciler } from '../plane/reconciler.ts'
import { lineRequest } from '../setup/commands.ts'
import type { Setups } from '../setup/keeper.ts'
import { createOutput } from '../setup/output.ts'
import { abortable } from '../util/timing.ts'
import { actionAt, type Deadline, deadlineOf, hookLead, nextLeaseStep } from './deadline.ts'

/** Ends what its lease says, within a second of when it says. */
export interface LeaseKeeper {
  /** Takes in every box and handles what is overdue; what it decides is written down when it resolves. */
  start(records: readonly BoxRecord[]): Promise<void>
  stop(): void
  idle(): Promise<void>
}

/** The one timer looks at least so often, in case that the clock of the machine was set. */
const longestWaitMs = 30_000

export function createLeaseKeeper(context: Context, reconciler: Reconciler, setups: Setups): LeaseKeeper {
  const { boxes, activity, awake, deps, events, policy, stopping } = context
  const { clock, log } = deps
  const tracked = new Map<string, { record: BoxRecord; lookAt: number }>()
  const busy = new Map<string, Promise<void>>()
  const hooks = new Map<string, AbortController>()
  let timer: { at: number; cancel: () => void } | undefined
  let running = false

  const use = (record: BoxRecord) => ({
    lastActiveAt: awake.lastUse(record),
    busy: activity.isOpen(record.id) || setups.isActive(record.id),
  })
  /** Nothing is lost by a pause, so nothing has to be saved before it, each time that the box is idle. */
  const hookTimeout = (record: BoxRecord, deadline: Deadline): number | null => {
    const hook = record.config?.beforeExpire
    if (!hook || (deadline.reason === 'idle' && actionAt(record, deadline) === 'pause')) return null
    return hook.timeoutMs ?? policy.beforeExpireMs
  }

  const track = (record: BoxRecord): void => {
    awake.changed(record)
    const deadline = deadlineOf(record, use(record))
    if (!deadline) {
      // In use now: when that ends, the idle limit counts again.
      if (record.idleMs === null || record.desired === 'gone') tracked.delete(record.id)
      else tracked.set(record.id, { record, lookAt: Number.POSITIVE_INFINITY })
      return
    }
    const next = nextLeaseStep(record, deadline, clock.now(), hookTimeout(record, deadline))
    const lookAt = 'due' in next ? clock.now() : next.lookAt
    tracked.set(record.id, {
      record,
      lookAt: awake.isWatched(record) ? Math.min(lookAt, awake.nextLook(record)) : lookAt,
    })
  }

  const arm = (): void => {
    if (!running) return
    const now = clock.now()
    let next = Number.POSITIVE_INFINITY
    for (const [id, { lookAt }] of tracked) if (!busy.has(id)) next = Math.min(next, lookAt)
    const at = Math.min(next, now + longestWaitMs)
    if (timer && timer.at <= at && timer.at >= now) return
    timer?.cancel()
    timer = { at, cancel: clock.after(Math.max(0, at - now), tick) }
  }

  const tick = (): void => {
    timer = undefined
    const now = clock.now()
    for (const [id, { lookAt }] of tracked) if (lookAt <= now && !busy.has(id)) void begin(id)
    arm()
  }

  const begin = (id: string): Promise<void> => {
    const work = step(id)
      .catch((error) => log.error({ box: id, err: error }, 'a lease could not be kept'))
      .then(async () => {
        busy.delete(id)
        const record = stopping.aborted ? undefined : await boxes.get(id).catch(() => undefined)
        if (record) track(record)
        arm()
      })
    busy.set(id, work)
    return work
  }

  const step = async (id: string): Promise<void> => {
    const record = await boxes.get(id)
    if (!record) return
    const looked = awake.isWatched(record) && awake.nextLook(record) <= clock.now()
    if (looked) await awake.look(record)
    const deadline = deadlineOf(record, use(record))
    if (!deadline) return
    const next = nextLeaseStep(record, deadline, clock.now(), hookTimeout(record, deadline))
    if (!('due' in next)) return
    if (next.due === 'warn') return warn(record, deadline)
    if (next.due === 'hook') return beginHook(record, deadline)
    if (deadline.reason === 'idle' && !looked) await awake.look(record)
    // What was seen has put the end off, which `end` notices.
    await end(record)
  }

  const warn = async (record: BoxRecord, deadline: Deadline): Promise<void> => {
    const { at, reason } = deadline
    await boxes.update(record.id, () => ({ warnedFor: at }))
    const action = actionAt(record, deadline)
    await events.append('box.expiring', record, { reason, at: new Date(at).toISOString(), action })
  }

  /** Begins `beforeExpire` and does not wait for it: the end comes when it comes. */
  const beginHook = async (record: BoxRecord, deadline: Deadline): Promise<void> => {
    const { id } = record
    const task = record.config?.beforeExpire
    await boxes.update(id, () => ({ hookFor: deadline.at }))
    if (!task) return
    const abort = new AbortController()
    hooks.get(id)?.abort()
    hooks.set(id, abort)
    const signal = AbortSignal.any([abort.signal, stopping])
    const output = createOutput(deps.setupLog, id)
    output.beginStep('beforeExpire')
    const timeoutMs = Math.max(1, Math.round(hookLead(deadline, hookTimeout(record, deadline) ?? 0)))
    const request = { ...lineRequest(record, task, 'beforeExpire'), timeoutMs }
    abortable(context.boxd.of(record, signal).exec(request, output.write, signal), signal)
      .then(({ exitCode, timedOut }) => {
        if (exitCode !== 0) log.info({ box: id, exitCode, timedOut }, 'beforeExpire did not end well')
      })
      .catch((error) => log.info({ box: id, err: error }, 'beforeExpire could not be run'))
      .finally(() => {
        if (hooks.get(id) === abort) hooks.delete(id)
      })
  }

  const end = async (record: BoxRecord): Promise<void> => {
    const { id } = record
    let ended: Deadline | undefined
    const after = await boxes.update(id, (latest) => {
      const deadline = deadlineOf(latest, use(latest))
      if (!deadline || clock.now() < deadline.at) return undefined
      ended = deadline
      // What is stopped or paused by its lease stays so: only a start begins a new one.
      const over = deadline.reason === 'ttl' ? { expiresAt: null } : {}
      const action = actionAt(latest, deadline)
      if (action === 'destroy') return { desired: 'gone', status: 'destroying' }
      const halted = latest.status === 'stopped' || latest.status === 'failed'
      // At a cloud, what is only off would be billed for ever.
      if (halted || action === 'stop') {
        return { ...over, desired: 'stopped', ...(latest.cloud ? { stopAsSnapshot: true } : {}) }
      }
      return { ...over, desired: 'paused' }
    })
    if (!ended || !after) return
    await events.append('box.expired', after, { reason: ended.reason, action: actionAt(after, ended) })
    hooks.get(id)?.abort()
    const reason = new GibilError('cancelled', `The lease of "${record.name}" ended.`)
    reconciler.interrupt(id, reason)
    if (after.desired === 'gone') return reconciler.poke(id)
    // Not waited for here: a set-up that does not end at once must not hold up other leases.
    setups.cancel(id, reason).then(
      () => reconciler.poke(id),
      () => undefined,
    )
  }

  boxes.onChange((id, record) => {
    if (!running) return
    if (record) track(record)
    else {
      tracked.delete(id)
      hooks.get(id)?.abort()
      activity.forget(id)
      awake.forget(id)
      context.tokens.delete(id)
    }
    arm()
  })
  activity.onChange((id) => {
    const known = tracked.get(id)
    if (!known || !running) return
    track(known.record)
    arm()
  })

  return {
    async start(records) {
      running = true
      for (const record of records) track(record)
      const now = clock.now()
      await Promise.all([...tracked].filter(([, { lookAt }]) => lookAt <= now).map(([id]) => begin(id)))
      arm()
    },
    stop() {
      running = false
      timer?.cancel()
      for (const abort of hooks.values()) abort.abort()
    },
    async idle() {
      while (busy.size > 0) await Promise.all(busy.values())
    },
  }
}
