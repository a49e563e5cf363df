import type { Readable } from 'node:stream'
import { type Box, GibilError, type RestartBox, type StopBox } from '@gibil/contract'
import { closed, cloudSeen, withCloud } from '../box/charges.ts'
import { allow, type Verb } from '../box/lifecycle.ts'
import { toBox } from '../box/view.ts'
import type { BoxRecord, Desired } from '../box-record.ts'
import { parseTtl, renewedLease } from '../lease/terms.ts'
import type { Setups } from '../setup/keeper.ts'
import type { Context } from './context.ts'
import { tellDeadline } from './outside-deadline.ts'
import type { Reconciler } from './reconciler.ts'
import { viewOf } from './view-of.ts'
import { waitFor } from './waiting.ts'

export interface Verbs {
  pause(ref: string): Promise<Box>
  resume(ref: string): Promise<Box>
  stopBox(ref: string, options?: StopBox): Promise<Box>
  startBox(ref: string): Promise<Box>
  restart(ref: string, options?: RestartBox): Promise<Box>
  extend(ref: string, ttl: string | number): Promise<Box>
  destroy(ref: string): Promise<Box>
  uploadRepo(ref: string, tar: Readable): Promise<Box>
}

export function createVerbs(context: Context, reconciler: Reconciler, setups: Setups): Verbs {
  const { boxes, backoff, deps, drivers } = context
  const view = (record: BoxRecord): Box => viewOf(context, record)

  /** Writes down what should be, and waits until it is. When that fails, the box is wanted as it is again. */
  const become = async (
    ref: string,
    verb: Verb,
    desired: Desired,
    before?: (record: BoxRecord) => Promise<void> | void,
  ): Promise<Box> => {
    const { id } = await boxes.find(ref)
    await context.takeover.one(id)
    const record = await boxes.find(id)
    if (allow(verb, record) === 'done') return view(record)
    await before?.(record)
    const wanted = record.desired
    await boxes.update(record.id, (latest) => {
      if (allow(verb, latest) === 'done') return undefined
      return { desired, ...renewedLease(latest, desired, deps.clock.now()) }
    })
    return reach(record, desired, wanted)
  }

  /** Waits until a box is as its record wants it. `wanted`: what it was to be before. */
  const reach = async (record: BoxRecord, desired: Desired, wanted: Desired): Promise<Box> => {
    backoff.clear(record.id)
    try {
      await reconciler.converge(record.id)
    } catch (error) {
      // A box that was wanted to run and does not (any more) is not started behind the back of its user.
      await boxes.update(record.id, (latest) => {
        if (latest.desired !== desired) return undefined
        const ended = latest.status === 'stopped' || latest.status === 'failed'
        return { desired: ended ? 'stopped' : wanted, restart: null }
      })
      backoff.clear(record.id)
      throw error
    }
    return view((await boxes.get(record.id)) ?? record)
  }

  /** Of a box that is off already, and billed. */
  const giveBack = async ({ id, cloud: known }: BoxRecord): Promise<Box> => {
    await reconciler.alone(id, async () => {
      const record = await boxes.find(id)
      if (record.status !== 'stopped' || known?.billedSince === null) return
      const driver = drivers.for(record)
      await driver.stop(id, 0, { snapshot: true })
      const cloud = cloudSeen(known, await driver.inspect(id))
      await boxes.update(id, (latest) => withCloud(latest, cloud, deps.clock.now()))
    })
    return view(await boxes.find(id))
  }

  return {
    pause: (ref) =>
      become(ref, 'pause', 'paused', (record) => {
        if (!drivers.for(record).capabilities.has('pause')) {
          throw new GibilError('unsupported_by_shape', `A box of shape ${record.shape} cannot be paused.`, {
            hint: `Stop it instead: \`gibil stop ${record.name}\` keeps its disk.`,
          })
        }
        if (setups.isActive(record.id)) {
          throw new GibilError(
            'wrong_state',
            `The box "${record.name}" is being set up (${record.readiness}) and cannot be paused.`,
            {
              hint: 'Wait until it is ready, or stop it.',
              details: { readiness: record.readiness, name: record.name },
            },
          )
        }
      }),
    resume: (ref) => become(ref, 'resume', 'running'),
    async stopBox(ref, { snapshot = false } = {}) {
      const before = await boxes.find(ref)
      if (snapshot) {
        checkCostsWhenOff(before)
        if (before.status === 'stopped') return giveBack(before)
      }
      return become(ref, 'stop', 'stopped', async (record) => {
        await boxes.update(record.id, ({ desired }) =>
          desired === 'gone' ? undefined : { desired: 'stopped', ...(snapshot ? { stopAsSnapshot: true } : {}) },
        )
        await setups.cancel(record.id, new GibilError('interrupted', 'The box was stopped during its set-up.'))
      })
    },
    startBox: (ref) =>
      become(ref, 'start', 'running', async (record) => {
        const { expiresAt } = { ...record, ...renewedLease(record, 'running', deps.clock.now()) }
        // One that is billed while it is off costs nothing more by its start.
        if (record.cloud?.billedSince === null) await context.admission.bill(record, expiresAt, async () => undefined)
      }),

    async restart(ref, { force = false, fresh = false } = {}) {
      const { id } = await boxes.find(ref)
      await context.takeover.one(id)
      const record = await boxes.find(id)
      allow('restart', record)
      if (fresh) checkCanBeMadeAnew(record)
      // Written down first, so that an end on the way is known for what it is.
      await boxes.update(id, (latest) => {
        allow('restart', latest)
        const runs = latest.status === 'running' || latest.status === 'paused'
        const now = force || fresh || Boolean(latest.unresponsiveSince)
        const restart = runs ? (now ? ('now' as const) : ('gently' as const)) : null
        return { desired: 'running', restart, ...renewedLease(latest, 'running', deps.clock.now()) }
      })
      await setups.cancel(id, new GibilError('interrupted', 'The box was restarted during its set-up.'))
      if (fresh) {
        await boxes.update(id, (latest) => {
          if (latest.desired === 'gone') return undefined
          const { shape, provider, image, imageDigest, size } = latest
          const remake = { shape, provider, image, imageDigest, size }
          return { remake, readiness: 'creating', failure: null, tasksDone: false, timings: [] }
        })
      }
      return reach(record, 'running', record.desired)
    },

    async extend(ref, ttl) {
      const record = await boxes.find(ref)
      const ttlMs = parseTtl(ttl, record.shape)
      const now = deps.clock.now()
      const end = ttlMs === null ? null : now + ttlMs
      const write = (): Promise<BoxRecord | undefined> =>
        boxes.update(record.id, (latest) => {
          allow('extend', latest)
          const explicit = latest.explicit.includes('ttl') ? latest.explicit : [...latest.explicit, 'ttl' as const]
          return { ttlMs, expiresAt: end, explicit }
        })
      // Less time is never too dear, nor is any for a box that is off and costs nothing.
      const dearer = (end ?? Number.POSITIVE_INFINITY) > (record.expiresAt ?? Number.POSITIVE_INFINITY)
      const off = record.status === 'stopped' && record.cloud?.billedSince === null
      const after = dearer && !off ? await context.admission.bill(record, end, write) : await write()
      if (!after) throw new GibilError('box_not_found', `The box "${record.name}" is gone.`)
      const expiresAt = after.expiresAt === null ? null : new Date(after.expiresAt).toISOString()
      await context.events.append('box.extended', after, { expiresAt })
      const told = await tellDeadline(context, after).catch((error) => {
        const { message } = GibilError.from(error)
        deps.log.warn({ box: after.id, err: error }, `its provider does not know the new end of the lease: ${message}`)
        return after
      })
      return view(told)
    },

    async destroy(ref) {
      const record = await boxes.find(ref)
      await boxes.update(record.id, ({ desired }) =>
        desired === 'gone' ? undefined : { desired: 'gone', status: 'destroying' },
      )
      backoff.clear(record.id)
      reconciler.interrupt(
        record.id,
        new GibilError('wrong_state', `The box "${record.name}" was destroyed meanwhile.`),
      )
      // A create that is under way does the destroy itself; its own failure is not this caller's.
      await reconciler.converge(record.id)
      const now = deps.clock.now()
      const charges = closed(record.charges ?? [], now)
      return toBox({ ...record, charges, desired: 'gone', status: 'destroyed', address: null }, now)
    },

    async uploadRepo(ref, tar) {
      let record = await boxes.find(ref)
      await context.takeover.one(record.id)
      record = await boxes.find(record.id)
      if (allow('upload', record) === 'wait') record = await waitFor(context, record, 'running')
      await setups.upload(record, tar)
      return view((await boxes.get(record.id)) ?? record)
    },
  }
}

/** What a set-up needs that is not kept cannot be had again. */
function checkCanBeMadeAnew({ name, repo }: BoxRecord): void {
  if (!repo || (repo.url !== null && !repo.needsToken)) return
  const why = repo.url === null ? 'its repository was uploaded' : 'the token of its repository is not kept'
  throw new GibilError('wrong_state', `The box "${name}" cannot be made anew: ${why}.`, {
    hint: `Restart it on its disk: \`gibil restart ${name}\`; or destroy it and create it again.`,
    details: { name },
  })
}

function checkCostsWhenOff({ provider, name }: BoxRecord): void {
  if (provider !== 'local') return
  const why = `The box "${name}" is on this machine, where a stopped box costs nothing.`
  throw new GibilError('unsupported_by_shape', why, {
    hint: `Stop it without --snapshot, or keep a snapshot beside it: \`gibil snapshot ${name}\`.`,
  })
}
