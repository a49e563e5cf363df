import { type Fork, type ForkBoxes, GibilError, openEgress } from '@gibil/contract'
import { toError } from '../box/failure.ts'
import { newFleetId } from '../box/ids.ts'
import { checkName, fleetName, friendlyName } from '../box/names.ts'
import { checkFits } from '../box/sizes.ts'
import { savedOf } from '../box/snapshot-rules.ts'
import type { BoxRecord, Owner } from '../box-record.ts'
import type { CreateOptions } from '../control-plane.ts'
import { parseIdle, parseTtl } from '../lease/terms.ts'
import type { Saved, SnapshotRecord } from '../snapshot-record.ts'
import { abortable } from '../util/timing.ts'
import { boxMeantBy } from './box-reference.ts'
import type { Context } from './context.ts'
import type { Creator } from './create.ts'
import { checkEgress } from './egress.ts'
import { makeEach } from './fleet.ts'
import { resolveImage } from './images.ts'
import { checkCanPause, idleActionOf, type Settled } from './settle.ts'
import type { SnapshotRecords } from './snapshot-records.ts'
import type { Snapshots } from './snapshots.ts'
import { checkVolumes, settleVolumes } from './volumes.ts'

type Source =
  | { readonly box: BoxRecord; readonly saved: Saved }
  | { readonly box: undefined; readonly snapshot: SnapshotRecord; readonly saved: Saved }

interface Parts {
  readonly context: Context
  readonly creator: Creator
  readonly records: SnapshotRecords
  readonly snapshots: Snapshots
}

/** Makes boxes that begin as a box is now, or as a snapshot is. Leaving early ends the waiting, not the forks. */
export function fork(parts: Parts, input: ForkBoxes, options: CreateOptions): Promise<Fork> {
  const { signal, ...rest } = options
  return abortable(forkAll(parts, input, rest), signal)
}

async function forkAll(parts: Parts, input: ForkBoxes, options: CreateOptions): Promise<Fork> {
  const { context, creator, records, snapshots } = parts
  const owner = options.owner ?? null
  const source = await sourceOf(parts, input.from, owner)
  const base = input.name === undefined ? friendlyName(context.deps.random) : checkName(input.name)
  const { count } = input
  const names = count === undefined ? [base] : Array.from({ length: count }, (_, index) => fleetName(base, index + 1))
  const fleet = count === undefined ? null : newFleetId(context.deps.random)
  const draft = await settleFork(context, source.saved, input, { owner, fleet })
  const places = await context.admission.reserveAll(owner, draft.size, names.length)
  try {
    const from = source.box ? await snapshots.take(source.box, {}, true) : source.snapshot
    const parent = from.temporary ? from.parent : from.id
    // A set-up that failed is part of what is forked, and no failure of the fork.
    const wait = from.saved.readiness === 'failed' && input.wait !== 'created' ? 'running' : input.wait
    const made = await records.using(from.id, () =>
      makeEach(
        context,
        creator,
        { settled: { draft: { ...draft, from: from.id, parent }, token: null }, places, names, wait },
        options,
      ),
    )
    const [failed] = made.failures
    if (count === undefined && failed) throw toError(failed.failure, { name: failed.name })
    return { fleet, ...made }
  } finally {
    for (const place of places) place.leave()
    if (source.box) await snapshots.reap()
  }
}

async function sourceOf({ context, records }: Parts, ref: string, caller: Owner): Promise<Source> {
  const found = await boxMeantBy(ref, caller, context.deps.store)
  if (found) {
    await context.takeover.one(found.id)
    const box = await context.boxes.find(found.id)
    return { box, saved: savedOf(box) }
  }
  try {
    const snapshot = await records.find(ref, caller)
    return { box: undefined, snapshot, saved: snapshot.saved }
  } catch (cause) {
    throw new GibilError('snapshot_not_found', `There is no box and no snapshot "${ref.slice(0, 80)}".`, {
      hint: 'See `gibil list` and `gibil snapshots`.',
      cause,
    })
  }
}

/** Checks all that was asked for before anything is made. What makes the state is of the source; the lease is a fresh one. */
async function settleFork(
  context: Context,
  saved: Saved,
  input: ForkBoxes,
  { owner, fleet }: { readonly owner: Owner; readonly fleet: string | null },
): Promise<Settled['draft']> {
  const { deps, drivers } = context
  const driver = drivers.for(saved)
  if (!driver.capabilities.has('fork')) {
    throw new GibilError('unsupported_by_shape', `A box of shape ${saved.shape} cannot be forked.`)
  }
  const onExpire = input.onExpire ?? 'destroy'
  const onIdle = input.onIdle ?? idleActionOf(driver)
  checkCanPause(driver, onExpire)
  checkCanPause(driver, onIdle)
  const egress = input.egress ?? saved.egress ?? openEgress
  checkEgress(egress, saved.network, driver)
  const { isolation } = saved
  const volumes = input.volumes && (await settleVolumes(context, input.volumes, owner, { driver, isolation }))
  if (!volumes) await checkVolumes(context, saved.volumes)
  await checkFits(saved.size, saved, deps.host)
  await resolveImage(deps.images, saved.provider, saved.imageDigest)
  return {
    ...saved,
    ...(volumes ? { volumes } : {}),
    egress,
    env: input.env ?? saved.env,
    labels: input.labels ?? saved.labels,
    desired: 'running',
    status: 'creating',
    readiness: 'creating',
    failure: null,
    fleet,
    ...(saved.provider === 'local' ? {} : { cloudWish: {} }),
    address: null,
    // Its own to publish: a token opens one port of one box.
    published: [],
    from: null,
    restoring: null,
    parent: null,
    remake: null,
    ttlMs: parseTtl(input.ttl, saved.shape),
    idleMs: parseIdle(input.idle),
    onExpire,
    onIdle,
    warnedFor: null,
    hookFor: null,
    startedAt: null,
    lastActiveAt: null,
    timings: [],
  }
}
