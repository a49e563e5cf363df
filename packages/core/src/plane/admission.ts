import { type Amounts, GibilError, type Size, type TokenLimits } from '@gibil/contract'
import type { BoxRecord, Owner } from '../box-record.ts'
import type { Store } from '../ports/store.ts'
import { createKeyedQueue } from '../util/keyed-queue.ts'
import type { Boxes } from './boxes.ts'
import type { Policy } from './deps.ts'
import { checkLimits } from './limits.ts'

/** Room for one box, counted from when it was reserved. */
export interface Place {
  readonly owner: Owner
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
  /** Throws `limit_reached`, and `unauthorized` when the token is gone meanwhile. */
  reserve(owner: Owner, size: Size): Promise<Place>
  /** Room for all of them or none. Throws as `reserve`. */
  reserveAll(owner: Owner, size: Size, count: number): Promise<Place[]>
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

export function createAdmission(store: Store, boxes: Boxes, policy: Pick<Policy, 'maxBoxes'>): Admission {
  const queue = createKeyedQueue()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => queue.run('', work)
  const reserved = new Set<{ readonly owner: Owner; readonly amounts: Amounts }>()

  const usedBy = async (owner: Owner): Promise<Amounts> => {
    const open = [...reserved].filter((place) => place.owner === owner)
    return open.reduce((total, { amounts }) => sum(total, amounts), await store.amounts(owner))
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
  const place = (owner: Owner, size: Size): Place => {
    const entry = { owner, amounts: times(size, 1) }
    reserved.add(entry)
    return {
      owner,
      take: (record) =>
        inTurn(async () => {
          await boxes.insert(record)
          reserved.delete(entry)
        }),
      leave: () => void reserved.delete(entry),
    }
  }

  return {
    reserve: (owner, size) =>
      inTurn(async () => {
        await check(owner, times(size, 1))
        return place(owner, size)
      }),
    reserveAll: (owner, size, count) =>
      inTurn(async () => {
        await check(owner, times(size, count))
        return Array.from({ length: count }, () => place(owner, size))
      }),
    resize: (record, size, write) =>
      inTurn(async () => {
        await check(record.owner, growth(record.size, size))
        return write()
      }),
  }
}
