import { GibilError } from '@gibil/contract'
import { toSnapshot } from './box/snapshot-view.ts'
import type { ControlPlane } from './control-plane.ts'
import { createActivity } from './lease/activity.ts'
import { createAwake } from './lease/awake.ts'
import { createLeaseKeeper } from './lease/keeper.ts'
import { exportBox } from './move/export-box.ts'
import { importBox } from './move/import-box.ts'
import { move } from './move/move.ts'
import { saveImage } from './move/save-image.ts'
import { createAdmission } from './plane/admission.ts'
import { createAdoption } from './plane/adopt.ts'
import { createBackoff } from './plane/backoff.ts'
import { createBaking } from './plane/bake.ts'
import { createBoxdAccess } from './plane/boxd-access.ts'
import { createBoxes } from './plane/boxes.ts'
import { budgetOf } from './plane/budget.ts'
import { choose } from './plane/choose.ts'
import { connect } from './plane/connect.ts'
import type { Context } from './plane/context.ts'
import { costReport, readBills } from './plane/cost-report.ts'
import { createCreator } from './plane/create.ts'
import { type ControlPlaneDeps, defaultPolicy } from './plane/deps.ts'
import { createDrivers } from './plane/drivers.ts'
import { createSetEgress } from './plane/egress.ts'
import { endOf } from './plane/ended.ts'
import { createEventLog } from './plane/event-log.ts'
import { createFleet, fleetMembers } from './plane/fleet.ts'
import { fork } from './plane/fork.ts'
import { createKeptSetups, type KeptSetups } from './plane/kept-setups.ts'
import { createMounts } from './plane/mounts.ts'
import { isBehind, tellDeadline } from './plane/outside-deadline.ts'
import { planeOfOwner } from './plane/ownership.ts'
import { createProgressHub } from './plane/progress.ts'
import { createPublishing } from './plane/publishing.ts'
import { createReconciler, type Reconciler } from './plane/reconciler.ts'
import { restore } from './plane/restore.ts'
import { createSnapshotRecords } from './plane/snapshot-records.ts'
import { createSnapshots } from './plane/snapshots.ts'
import { sweep } from './plane/sweep.ts'
import { createLeaseSweep } from './plane/sweep-leases.ts'
import { createTakeover } from './plane/takeover.ts'
import { createTokens } from './plane/tokens.ts'
import { createVerbs } from './plane/verbs.ts'
import { viewOf } from './plane/view-of.ts'
import { createVolumes } from './plane/volumes.ts'
import { waitFor } from './plane/waiting.ts'
import { createWarmPool } from './pool/warm-pool.ts'
import { createSessions } from './session/sessions.ts'
import { createSetups } from './setup/keeper.ts'
import { createGate } from './util/gate.ts'
import { throwingGibilErrors } from './util/gibil-errors.ts'

/** Puts the domain together. Nothing happens before `start()`. */
export function createControlPlane(deps: ControlPlaneDeps): ControlPlane {
  const { store, clock, log } = deps
  const policy = { ...defaultPolicy, ...deps.policy }
  const stop = new AbortController()
  const events = createEventLog(store, clock)
  const boxes = createBoxes(store, events)
  const drivers = createDrivers(deps.drivers, log)
  const gate = createGate(policy.maxConcurrentCreates, policy.queueLimit)
  const boxd = createBoxdAccess({ drivers, connectBoxd: deps.connectBoxd, clock, bootMs: policy.bootMs })
  const pool = createWarmPool({ deps, policy, drivers, boxd }, () => gate.running() > 0)
  const activity = createActivity(clock, async (id, at) => {
    await boxes.update(id, ({ lastActiveAt }) => ((lastActiveAt ?? 0) < at ? { lastActiveAt: at } : undefined))
  })
  const context: Context = {
    deps,
    policy,
    boxes,
    admission: createAdmission(deps, boxes, policy),
    events,
    drivers,
    boxd,
    pool,
    progress: createProgressHub(),
    backoff: createBackoff(clock, policy.backoff),
    activity,
    awake: createAwake({ activity, boxd, drivers, clock, isSetUp: (id) => setups.isActive(id) }),
    takeover: createTakeover((id) => unlessStopping(id, reconciler.converge(id)), policy.maxConcurrentCreates),
    tokens: new Map(),
    stopping: stop.signal,
  }
  const setups = createSetups(
    context,
    (): Reconciler => reconciler,
    (): KeptSetups => kept,
  )
  const reconciler = createReconciler(context, setups)
  const leases = createLeaseKeeper(context, reconciler, setups)
  const verbs = createVerbs(context, reconciler, setups)
  const keeper = createSessions(context, verbs)
  const records = createSnapshotRecords(context)
  const mounts = createMounts(context, records, reconciler)
  const sweepLeases = createLeaseSweep(context)
  const snapshots = createSnapshots(context, records, reconciler, setups.isActive)
  const kept = createKeptSetups(context, records, snapshots)
  const creator = createCreator(context, reconciler, gate, kept)
  let cancelPass: (() => void) | undefined
  let catchingUp: Promise<unknown> = Promise.resolve()

  const unlessStopping = (id: string, work: Promise<void>): Promise<void> =>
    work.catch((error) => {
      if (!stop.signal.aborted) log.warn({ box: id, err: error }, 'a box is not as it should be after the start')
    })
  const sweepOnce = async (): Promise<void> => {
    await sweep(context, reconciler).catch((error) => log.warn({ err: error }, 'the sweep after the start failed'))
  }

  const orWarn = (looking: Promise<void>): Promise<void> =>
    looking.catch((error) => log.warn({ err: error }, 'snapshots could not be looked at'))

  /** The end of a lease that moved while its provider could not be told. */
  const catchUpDeadline = async (id: string): Promise<void> => {
    const record = await boxes.get(id)
    if (!record || !isBehind(record)) return
    await tellDeadline(context, record).catch((error) =>
      log.warn({ box: id, err: error }, 'the end of a lease could not be told to its provider; it is tried again'),
    )
  }

  /** Looks at everything: what drivers have, what records want. Also finds what no event told of. */
  const pass = async (): Promise<void> => {
    await drivers.open()
    await sweep(context, reconciler)
    await sweepLeases()
    await snapshots.tend()
    await kept.prune()
    for (const { id } of await boxes.list()) {
      await reconciler.look(id).catch((error) => log.debug({ box: id, err: error }, 'a box could not be looked at'))
      await catchUpDeadline(id)
      reconciler.poke(id)
    }
  }
  const schedulePass = (): void => {
    cancelPass = clock.after(policy.reconcileEveryMs, () => {
      pass()
        .catch((error) => log.error({ err: error }, 'the look at everything failed'))
        .finally(() => {
          if (!stop.signal.aborted) schedulePass()
        })
    })
  }

  const tokens = throwingGibilErrors(createTokens(deps))
  const plane: ControlPlane = throwingGibilErrors<ControlPlane>({
    tokens,
    as: (owner) => planeOfOwner(owner, plane, boxes),

    async start() {
      await drivers.open()
      for (const driver of deps.drivers) {
        driver.onExit((id) => {
          if (stop.signal.aborted) return
          if (pool.has(id)) return pool.lost(id)
          reconciler.look(id).then(
            () => reconciler.poke(id),
            (error) => log.warn({ box: id, err: error }, 'a box that ended could not be looked at'),
          )
        })
      }
      for (const driver of deps.drivers) {
        driver.onSilence?.((id, silence) => {
          if (stop.signal.aborted || pool.has(id)) return
          reconciler
            .hear(id, silence)
            .catch((error) => log.warn({ box: id, err: error }, 'a silent box could not be seen to'))
        })
      }
      await snapshots.begin()
      const ids = (await boxes.list()).map(({ id }) => id)
      const lanes = createGate(policy.maxConcurrentCreates)
      await Promise.all(ids.map((id) => lanes.run(() => unlessStopping(id, reconciler.look(id)))))
      // Before anything is started again that has no lease any more.
      await leases.start(await boxes.list())
      await keeper.begin()
      // From here on every box is known as it is. What is not yet as it should be is seen to while the others are served.
      catchingUp = Promise.all([context.takeover.all(ids), sweepOnce(), orWarn(snapshots.tend())]).then(async () => {
        // Forks that had to be finished needed what was taken for them until now.
        await orWarn(snapshots.reap())
        return pool.start()
      })
      schedulePass()
    },
    async caughtUp() {
      await catchingUp
    },

    async stop() {
      stop.abort(new GibilError('interrupted', 'The daemon is stopping.'))
      cancelPass?.()
      leases.stop()
      setups.close()
      context.backoff.close()
      await Promise.all([catchingUp, keeper.idle(), reconciler.idle(), setups.idle(), leases.idle(), records.idle()])
      await pool.close()
      context.activity.close()
      await drivers.close()
    },

    create: (input, options) => creator.create(input, options),
    createFleet: (input, options = {}) => createFleet({ context, creator, destroy: verbs.destroy }, input, options),
    async wait(ref, wait, signal) {
      return viewOf(context, await waitFor(context, await boxes.find(ref), wait, signal))
    },

    async get(ref) {
      const record = await boxes.find(ref)
      return viewOf(context, record)
    },
    async list(filter) {
      const records = await boxes.list(filter)
      return records.map((record) => viewOf(context, record))
    },
    ...verbs,
    setEgress: createSetEgress(context, reconciler.converge),
    async console(ref) {
      const record = await boxes.find(ref)
      const driver = drivers.for(record)
      if (driver.console) return driver.console(record.id)
      throw new GibilError(
        'unsupported_by_shape',
        `A box of shape ${record.shape} has no console: it runs on the host's kernel.`,
        {
          hint: `See what its set-up printed: \`gibil logs ${record.name}\`.`,
        },
      )
    },
    move: (ref, input, options = {}) => move({ context, reconciler, setups, verbs }, ref, input, options),
    exportBox: (ref, take, options = {}) => exportBox({ context, reconciler, verbs }, ref, take, options),
    importBox: (input, options = {}) => importBox({ context, creator }, input, options),
    async saveImage(ref, name, options = {}) {
      const image = await saveImage({ context, reconciler, verbs }, ref, name, options)
      await events.append('image.added', null, { name, source: image.source })
      return image
    },
    ...createPublishing(boxes, deps),
    async destroyFleet(fleet) {
      const ids = await fleetMembers(context, fleet)
      const lanes = createGate(policy.maxConcurrentCreates)
      const results = await Promise.allSettled(ids.map((id) => lanes.run(() => verbs.destroy(id))))
      // Every one is tried before any failure is told.
      return results.map((result) => {
        if (result.status === 'fulfilled') return result.value
        throw result.reason
      })
    },

    async snapshot(ref, input) {
      const { id } = await boxes.find(ref)
      await context.takeover.one(id)
      return toSnapshot(await snapshots.take(await boxes.find(id), input, false))
    },
    ...createAdoption(context, reconciler),
    ...createBaking(context),
    snapshots: (filter = {}) => snapshots.list(filter),
    getSnapshot: async (ref, { owner = null } = {}) => toSnapshot(await records.find(ref, owner)),
    async removeSnapshot(ref, { owner = null } = {}) {
      const record = await records.find(ref, owner)
      await snapshots.remove(record.id)
      return toSnapshot(record)
    },
    restore: (ref, snapshot) => restore(context, records, reconciler, setups.isActive, ref, snapshot),
    ...mounts,
    fork: (input, options = {}) => fork({ context, creator, records, snapshots }, input, options),

    connect: (ref, signal, options) => connect(context, verbs, ref, signal, options),
    async setupLog(ref, offset, limit) {
      const record = await boxes.find(ref)
      const over = record.readiness === 'ready' || record.readiness === 'failed'
      const page = await deps.setupLog.read(record.id, offset, limit)
      return { ...page, done: over && !setups.isActive(record.id) && page.text === '' }
    },
    events: (options) => events.follow(options),
    ended: (ref, { owner = null } = {}) => endOf(store, ref, owner),
    sweep: () => sweep(context, reconciler),
    async imageEvent(type, data) {
      await events.append(type, null, data)
      pool.imagesChanged()
    },
    cost: async ({ owner } = {}) => ({
      ...costReport(await readBills(store, owner), clock.now()),
      budget: owner === undefined ? await budgetOf(store, clock.now()) : null,
    }),
    async setBudget(limits) {
      await store.setBudget(limits)
      return budgetOf(store, clock.now())
    },
    sessions: throwingGibilErrors(keeper.sessions),
    volumes: throwingGibilErrors(createVolumes(context)),
    pool: () => pool.state(),
    shapes: () => drivers.state(),
    choose: (needs) => choose(context, needs),
  })
  return plane
}
