import { type Amounts, type Charge, GibilError, type Price, type Size, type TokenLimits } from '@gibil/contract'
import { chargeOf, checkBudget } from '../box/budget.ts'
import type { BoxRecord, Owner } from '../box-record.ts'
import { createKeyedQueue } from '../util/keyed-queue.ts'
import { amountsOf } from './amounts.ts'
import type { Boxes } from './boxes.ts'
import { billedUntil, priceWithin, takenBy, type Wanted } from './budget.ts'
import type { ControlPlaneDeps, Policy } from './deps.ts'
import { checkLimits } from './limits.ts'

/** Room for one box, counted from when it was reserved. */
export interface Place {
  readonly owner: Owner
  /** The dearest machine that budgets allow for it; undefined: none limits it. */
  readonly price: Price | undefined
  /** Writes the box down in it. Throws `name_in_use`, and then it is still kept. */
  take(record: BoxRecord): Promise<void>
  /** Gives it back, unless it was taken. */
  leave(): void
}

/**
 * Who may have how much. Every box that is kept counts with its whole size, whatever its status: one that is stopped may be
 * started again, and one that is being destroyed is there until it is gone. Checks and writes are done one after the
 * other, so that creates side by side cannot come beyond a limit together.
 */
export interface Admission {
  /** Throws `limit_reached`, `over_budget`, and `unauthorized` when the token is gone meanwhile. */
  reserve(owner: Owner, size: Size, wanted?: Wanted): Promise<Place>
  /** Room for all of them or none. Throws as `reserve`. */
  reserveAll(owner: Owner, size: Size, count: number, wanted?: Wanted): Promise<Place[]>
  /** Does what lets a kept box be billed to the end of a lease, if that is within the budgets. Throws `over_budget`. */
  bill<T>(record: BoxRecord, expiresAt: number | null, write: () => Promise<T>): Promise<T>
  /** Does what takes that much disk beside boxes, if that is within the limits. Throws as `reserve`. */
  holdDisk<T>(owner: Owner, diskMib: number, write: () => Promise<T>): Promise<T>
  /** Does what gives a kept box another size, if that is within the limits. Throws as `reserve`. */
  resize<T>(record: BoxRecord, size: Size, write: () => Promise<T>): Promise<T>
}

const times = (size: Size, boxes: number): Amounts => ({
  boxes,
  cpu: size.cpu * boxes,
  memoryMib: size.memoryMib * boxes,
  diskMib: size.diskMib * boxes,
})

const sum = (a: Amounts, b: Amounts): Amounts => ({
  boxes: a.boxes + b.boxes,
  cpu: a.cpu + b.cpu,
  memoryMib: a.memoryMib + b.memoryMib,
  diskMib: a.diskMib + b.diskMib,
})

const growth = (from: Size, to: Size): Amounts => ({
  boxes: 0,
  cpu: Math.max(0, to.cpu - from.cpu),
  memoryMib: Math.max(0, to.memoryMib - from.memoryMib),
  diskMib: Math.max(0, to.diskMib - from.diskMib),
})

type Deps = Pick<ControlPlaneDeps, 'store' | 'volumes' | 'clock'>

export function createAdmission(deps: Deps, boxes: Boxes, policy: Pick<Policy, 'maxBoxes'>): Admission {
  const { store, clock } = deps
  const queue = createKeyedQueue()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => queue.run('', work)
  const reserved = new Set<{ readonly owner: Owner; readonly amounts: Amounts; readonly charges: readonly Charge[] }>()

  const usedBy = async (owner: Owner): Promise<Amounts> => {
    const open = [...reserved].filter((place) => place.owner === owner)
    return open.reduce((total, { amounts }) => sum(total, amounts), await amountsOf(deps, owner))
  }
  const limitsOf = async (owner: string): Promise<TokenLimits> => {
    const token = await store.getToken(owner)
    if (token) return token.limits
    throw new GibilError('unauthorized', `The token "${owner}" was revoked.`)
  }
  const check = async (owner: Owner, asked: Amounts): Promise<void> => {
    if (owner !== null) checkLimits(owner, await limitsOf(owner), await usedBy(owner), asked)
    const kept = (await store.countBoxes()) + reserved.size
    if (asked.boxes > 0 && kept + asked.boxes > policy.maxBoxes) {
      throw new GibilError(
        'limit_reached',
        `${kept} boxes are kept; ${asked.boxes} more are beyond the ${policy.maxBoxes} that this daemon takes.`,
        { details: { limit: 'daemon', used: kept, asked: asked.boxes, allowed: policy.maxBoxes } },
      )
    }
  }
  const taken = async (except?: string): Promise<Charge[]> => [
    ...(await takenBy(store, clock.now(), except)),
    ...[...reserved].flatMap(({ charges }) => charges),
  ]
  const priceFor = async (wanted: Wanted | undefined, count: number): Promise<Price | undefined> =>
    wanted && priceWithin(await store.getBudget(), await taken(), wanted, count, clock.now())
  const place = (owner: Owner, size: Size, price: Price | undefined, wanted: Wanted | undefined): Place => {
    const charges = price && wanted ? [chargeOf(price, wanted.ttlMs, clock.now())] : []
    const entry = { owner, amounts: times(size, 1), charges }
    reserved.add(entry)
    return {
      owner,
      price,
      take: (record) =>
        inTurn(async () => {
          await boxes.insert(record)
          reserved.delete(entry)
        }),
      leave: () => void reserved.delete(entry),
    }
  }

  return {
    reserve: (owner, size, wanted) =>
      inTurn(async () => {
        await check(owner, times(size, 1))
        return place(owner, size, await priceFor(wanted, 1), wanted)
      }),
    reserveAll: (owner, size, count, wanted) =>
      inTurn(async () => {
        await check(owner, times(size, count))
        const price = await priceFor(wanted, count)
        return Array.from({ length: count }, () => place(owner, size, price, wanted))
      }),
    bill: (record, expiresAt, write) =>
      inTurn(async () => {
        const { maxCost = null, provider } = record
        if (provider !== 'local') {
          const asked = { charges: billedUntil(record, expiresAt, clock.now()), count: 1, maxCost }
          checkBudget(await store.getBudget(), await taken(record.id), asked, clock.now())
        }
        return write()
      }),
    holdDisk: (owner, diskMib, write) =>
      inTurn(async () => {
        await check(owner, { boxes: 0, cpu: 0, memoryMib: 0, diskMib })
        return write()
      }),
    resize: (record, size, write) =>
      inTurn(async () => {
        await check(record.owner, growth(record.size, size))
        return write()
      }),
  }
}
