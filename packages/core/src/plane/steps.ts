import { GibilError, type PhaseTime } from '@gibil/contract'
import { closed, cloudSeen, withCloud } from '../box/charges.ts'
import type { Step } from '../box/next-step.ts'
import { readinessAfterStart, readinessFrom } from '../box/readiness.ts'
import type { BoxRecord } from '../box-record.ts'
import { clearOtherPlace } from '../move/clear.ts'
import type { BoxdPort } from '../ports/boxd.ts'
import type { DriverBox, DriverOptions, ResolvedImage } from '../ports/driver.ts'
import { abortable, within } from '../util/timing.ts'
import { adoptStep } from './adopt-step.ts'
import type { Context } from './context.ts'
import { egressStep } from './egress.ts'
import { resolveImage } from './images.ts'
import { restoreStep } from './restore-step.ts'
import { noSuchSnapshot } from './snapshot-records.ts'
import { deadlineOfSpec, toSpec } from './spec.ts'

/** What a machine prints while it boots is its own choice. */
const longestLine = 500

type Options = DriverOptions & { readonly signal: AbortSignal }

/** Does one step outside and writes down what is then. Every step may be repeated after a crash at any point in it. */
export type Perform = (step: Step, record: BoxRecord, signal: AbortSignal) => Promise<void>

/** It has yet to run its set-up script. */
export const isBare = ({ setup, setupDone }: Pick<BoxRecord, 'setup' | 'setupDone'>): boolean =>
  setup !== undefined && setupDone !== true

/** Gives boxd what later commands start from. The repository is where they run, once it is there. */
export async function configureBox(boxd: BoxdPort, record: BoxRecord, image: ResolvedImage): Promise<void> {
  // What a set-up script makes is kept for other boxes: it gets nothing that is this one's.
  const env = isBare(record) ? image.env : { ...image.env, ...record.config?.env, ...record.hookEnv, ...record.env }
  const cloned = record.repo !== null && record.readiness !== 'creating' && record.readiness !== 'cloning'
  await boxd.configure({ env, user: record.user, cwd: cloned ? record.repo.path : '~' })
}

export function createPerform(
  context: Context,
  whenDone: {
    made(id: string, kind: 'create' | 'start'): void
    gone(id: string): Promise<void>
    /** How a box begins that is made anew. */
    beginning(record: BoxRecord): Promise<Partial<BoxRecord>>
  },
): Perform {
  const { boxes, drivers, deps, policy, pool, progress } = context
  const { clock } = deps

  const timed = async <T>(
    record: BoxRecord,
    phase: string,
    timings: PhaseTime[],
    work: () => Promise<T>,
  ): Promise<T> => {
    const begin = clock.now()
    const result = await work()
    const ms = clock.now() - begin
    timings.push({ phase, ms })
    progress.tell(record.id, { phase, ms })
    return result
  }

  const configure = (record: BoxRecord, image: ResolvedImage, signal: AbortSignal): Promise<void> => {
    const boxd = context.boxd.of({ ...record, startedAt: clock.now() }, signal)
    const answer = within(clock, policy.bootMs + 1000, 'The first answer of boxd', configureBox(boxd, record, image))
    return abortable(answer, signal)
  }

  /** A spare that was taken for this box becomes it. It runs already, so its names and boxd's defaults are given at once. */
  const adopt = async (record: BoxRecord, image: ResolvedImage, options: Options): Promise<DriverBox | undefined> => {
    const driver = drivers.for(record)
    if (!pool.claim(record.id) || !driver.adapt) return undefined
    const failed = new AbortController()
    const signal = AbortSignal.any([options.signal, failed.signal])
    const both = [driver.adapt(toSpec(record, image), options), configure(record, image, signal)] as const
    for (const one of both) one.catch((error) => failed.abort(error))
    const [box] = await Promise.allSettled(both)
    options.signal.throwIfAborted()
    if (box.status === 'fulfilled' && !failed.signal.aborted) return box.value
    deps.log.warn({ box: record.id, err: failed.signal.reason }, 'a spare box could not be used; another is made')
    return undefined
  }

  /** Create and start are alike: the driver brings it up, boxd is told its defaults, and then it runs. */
  const bringUp = async (record: BoxRecord, kind: 'create' | 'start', signal: AbortSignal): Promise<void> => {
    const driver = drivers.for(record)
    const timings: PhaseTime[] = []
    const trace = (phase: string, ms: number): void => {
      timings.push({ phase, ms })
      progress.tell(record.id, { phase, ms })
    }
    const image = await resolveImage(deps.images, record.provider, record.imageDigest)
    const onLine = (line: string): void => {
      progress.tell(record.id, { phase: 'boot', message: line.slice(0, longestLine) })
    }
    const onNotice = (message: string): void => progress.tell(record.id, { phase: 'boot', message, notice: true })
    const options = { signal, trace, onLine, onNotice }
    const begun =
      kind === 'create' && record.tasksDone && record.from === null ? ofFile(record) : await stateFrom(record)
    const told = deadlineOfSpec(record)
    // Waited for also when the signal aborts: it ends early then, and nothing else may be done to the box before it has.
    const { box, isNew } = await timed(record, kind, timings, async () => {
      const spare = kind === 'create' ? await adopt(record, image, options) : undefined
      return { box: spare ?? (await driver[kind](toSpec(record, image), options)), isNew: !spare }
    })
    signal.throwIfAborted()
    if (isNew) await timed(record, 'boxd', timings, () => configure({ ...record, ...begun }, image, signal))
    const now = clock.now()
    whenDone.made(record.id, kind)
    await boxes.update(record.id, (latest) => {
      const { desired } = latest
      if (desired === 'gone') return undefined
      const readiness =
        kind === 'start'
          ? readinessAfterStart(latest)
          : latest.repo === null && !isBare(latest)
            ? ('ready' as const)
            : ('cloning' as const)
      const failure = readiness === 'failed' ? latest.failure : null
      return {
        status: 'running',
        address: box.address,
        startedAt: now,
        lastActiveAt: now,
        restart: null,
        unresponsiveSince: null,
        ...(begun ?? { readiness, failure }),
        ...withCloud(latest, box.cloud, now),
        ...(driver.setDeadline ? { deadlineTold: told } : {}),
        stopAsSnapshot: false,
        from: null,
        ...(kind === 'create' ? { timings: [...latest.timings, ...timings] } : {}),
      }
    })
  }

  /** Its files come with what its tasks have made of them. */
  const ofFile = (record: BoxRecord): Pick<BoxRecord, 'readiness' | 'failure'> => ({
    readiness: readinessAfterStart({ ...record, readiness: 'ready' }),
    failure: null,
  })

  /** How far the set-up of a box has come that begins as a snapshot: as far as there. */
  const stateFrom = async ({
    from,
    setup,
  }: BoxRecord): Promise<Pick<BoxRecord, 'readiness' | 'failure'> | undefined> => {
    if (from === null) return undefined
    const snapshot = await deps.store.getSnapshot(from)
    if (!snapshot) throw noSuchSnapshot(from)
    // What a set-up script made is where a box of its own begins.
    if (setup && snapshot.setup) return undefined
    return { readiness: readinessFrom(snapshot), failure: snapshot.saved.failure }
  }

  const steps: Readonly<Record<Step, (record: BoxRecord, signal: AbortSignal) => Promise<void>>> = {
    create: (record, signal) => bringUp(record, 'create', signal),
    start: (record, signal) => bringUp(record, 'start', signal),
    adopt: (record) => adoptStep(context, record),
    async remake(record) {
      await drivers.for(record).destroy(record.id)
      const beginning = await whenDone.beginning({ ...record, ...record.remake })
      await boxes.update(record.id, (latest) =>
        latest.remake && latest.desired !== 'gone'
          ? {
              ...latest.remake,
              remake: null,
              status: 'creating',
              readiness: 'creating',
              address: null,
              startedAt: null,
              parent: null,
              ...beginning,
            }
          : undefined,
      )
    },
    async stop(record) {
      const driver = drivers.for(record)
      if (record.restart === 'now') {
        await driver.stop(record.id, 0)
        await boxes.update(record.id, () => ({ status: 'stopped', address: null, restart: null }), {
          reason: 'restart',
        })
        return
      }
      const options = record.stopAsSnapshot ? [{ snapshot: true }] : []
      // A frozen process cannot end itself.
      if (record.status === 'paused') await driver.resume(record.id)
      // Politely first; the driver then waits for the end and enforces it. A boxd that does not answer is ended by the driver.
      if (record.status !== 'stopped' && record.status !== 'failed') {
        const ask = context.boxd.of({ ...record, startedAt: 0 }).shutdown(policy.stopGraceMs)
        await within(clock, 1000, 'Asking boxd to end', ask).catch(() => undefined)
      }
      await driver.stop(record.id, policy.stopGraceMs, ...options)
      const note = record.restart ? { reason: 'restart' } : {}
      // What a stop costs is for its provider to say.
      const cloud = record.cloud === undefined ? undefined : cloudSeen(record.cloud, await driver.inspect(record.id))
      await boxes.update(
        record.id,
        (latest) => ({ status: 'stopped', address: null, restart: null, ...withCloud(latest, cloud, clock.now()) }),
        note,
      )
    },
    async pause(record) {
      await drivers.for(record).pause(record.id)
      await boxes.update(record.id, () => ({ status: 'paused' }))
    },
    async resume(record) {
      await drivers.for(record).resume(record.id)
      await boxes.update(record.id, () => ({ status: 'running', lastActiveAt: clock.now(), unresponsiveSince: null }))
    },
    async restore(record, signal) {
      await restoreStep({ context, configure }, record, signal)
      whenDone.made(record.id, 'start')
    },
    egress: (record) => egressStep(context, record),
    clear: ({ id }) => clearOtherPlace(context, id),
    async destroy(record) {
      await whenDone.gone(record.id)
      await drivers.for(record).destroy(record.id)
      if (record.remake && record.remake.shape !== record.shape) await drivers.for(record.remake).destroy(record.id)
      await clearOtherPlace(context, record.id)
      await deps.setupLog.remove(record.id)
      const { charges = [] } = (await boxes.get(record.id)) ?? record
      await deps.store.keepCharges(record, closed(charges, clock.now()))
      await boxes.remove(record)
    },
  }
  return async (step, record, signal) => {
    try {
      await steps[step](record, signal)
    } catch (error) {
      if (signal.aborted) throw GibilError.from(signal.reason, 'interrupted')
      throw GibilError.from(error, 'driver_failed')
    }
  }
}
