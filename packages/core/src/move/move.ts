import { GibilError, type MoveBox, type Moved, type Price } from '@gibil/contract'
import { checkHasState } from '../box/snapshot-rules.ts'
import type { BoxRecord } from '../box-record.ts'
import type { CreateOptions } from '../control-plane.ts'
import type { Context } from '../plane/context.ts'
import { pricedBy } from '../plane/create.ts'
import type { Reconciler } from '../plane/reconciler.ts'
import type { Verbs } from '../plane/verbs.ts'
import { viewOf } from '../plane/view-of.ts'
import { wantedOf } from '../plane/wanted-cost.ts'
import type { Setups } from '../setup/keeper.ts'
import { type Carried, carry } from './carry.ts'
import { type Plan, planMove } from './plan.ts'

interface Parts {
  readonly context: Context
  readonly reconciler: Reconciler
  readonly setups: Setups
  readonly verbs: Pick<Verbs, 'resume' | 'restart'>
}

/** See `BoxPlane.move`. */
export async function move(parts: Parts, ref: string, input: MoveBox, options: CreateOptions): Promise<Moved> {
  const { context, setups } = parts
  const { boxes, takeover } = context
  const { id } = await boxes.find(ref)
  await takeover.one(id)
  const record = await boxes.find(id)
  checkHasState(record, 'moved', setups.isActive(id))
  checkRuns(record)
  const plan = await planMove(context, record, input)
  const carried = plan.inPlace
    ? await resize(parts, record, plan)
    : await toAnotherPlace(parts, record, plan, options.onProgress ?? (() => undefined))
  const box = viewOf(context, await boxes.find(id))
  return { box, ...carried, changed: [...carried.changed], notes: [...carried.notes] }
}

async function toAnotherPlace(
  { context, reconciler, setups, verbs }: Parts,
  record: BoxRecord,
  plan: Plan,
  tell: NonNullable<CreateOptions['onProgress']>,
): Promise<Carried> {
  const { id, owner } = record
  if (record.status === 'paused') await verbs.resume(id)
  const { to, cloudWish } = plan
  // Both are there for a while, and count as such.
  const wanted = await wantedOf(context, { ...record, ...to, cloudWish })
  const place = await context.admission.reserve(owner, to.size, wanted)
  try {
    return await reconciler.alone(id, async (signal) => {
      const latest = await context.boxes.find(id)
      checkHasState(latest, 'moved', setups.isActive(id))
      checkRuns(latest)
      const carried = await carry(context, latest, withTerms(plan, place.price), signal, tell)
      // Its services, as after a start. Begun before anybody else looks at it.
      const moved = await context.boxes.get(id)
      if (moved) await setups.settle(moved, true)
      return carried
    })
  } finally {
    place.leave()
    // Whatever was wanted of it meanwhile.
    reconciler.poke(id)
  }
}

/** What it was asked to be at a cloud, and may cost there. */
const withTerms = (plan: Plan, price: Price | undefined): Plan => {
  const { cloudWish } = plan
  const terms = cloudWish === undefined ? {} : pricedBy({ cloudWish }, price)
  return { ...plan, changes: { ...plan.changes, cloudWish, estimate: undefined, ...terms } }
}

/** Its machine is stopped and started as one of another size. */
async function resize({ context, verbs }: Parts, record: BoxRecord, { to, notes }: Plan): Promise<Carried> {
  const { admission, boxes, deps } = context
  const begin = deps.clock.now()
  await admission.resize(record, to.size, () => boxes.update(record.id, () => ({ size: to.size })))
  try {
    await verbs.restart(record.id)
  } catch (error) {
    await boxes.update(record.id, ({ size }) => (size === to.size ? { size: record.size } : undefined))
    throw error
  }
  return { bytes: 0, silentMs: deps.clock.now() - begin, changed: [], notes }
}

/** boxd in it tells what it holds. */
export function checkRuns({ name, status }: BoxRecord, what = 'moved'): void {
  if (status === 'running' || status === 'paused') return
  throw new GibilError('wrong_state', `The box "${name}" is ${status} and cannot be ${what}.`, {
    hint: `Start it first: \`gibil start ${name}\`.`,
    details: { status, name },
  })
}
