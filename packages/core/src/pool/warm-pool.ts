import { GibilError } from '@gibil/contract'
import { newBoxId } from '../box/ids.ts'
import { chooseSize } from '../box/sizes.ts'
import type { BoxRecord, Making } from '../box-record.ts'
import type { BoxdAccess } from '../plane/boxd-access.ts'
import type { ControlPlaneDeps, Policy } from '../plane/deps.ts'
import type { Drivers } from '../plane/drivers.ts'
import type { Driver } from '../ports/driver.ts'
import { createGate } from '../util/gate.ts'
import { createDemand, limitDear, shareOut } from './demand.ts'
import { forge, keyOf, type Spare, type Wish } from './spare.ts'

export interface PoolState {
  readonly ready: number
  readonly wanted: number
  /** Creates since the start that found a spare, and those that found none. */
  readonly hits: number
  readonly misses: number
}

/** Boxes that are made before anybody asks for them. Nobody has used one when it is handed out, and nobody is handed one twice. */
export interface WarmPool {
  start(): void
  /** The id of a spare that is made so, from now on the caller's; undefined when there is none. Counts as demand either way. */
  take(making: Making & Pick<BoxRecord, 'isolation' | 'from' | 'cloudInit' | 'volumes'>): string | undefined
  /** A spare that was taken and is not needed after all. */
  giveBack(id: string): void
  /** Whether a box is a spare that was taken and has yet to become its taker's. True once; the box must have a record by then. */
  claim(id: string): boolean
  /** Whether it belongs to the pool, ready or not: such a box has no record and is no orphan. */
  has(id: string): boolean
  /** A spare ended by itself. */
  lost(id: string): void
  imagesChanged(): void
  state(): PoolState
  /** Takes all spares away. */
  close(): Promise<void>
}

export interface PoolContext {
  readonly deps: Pick<ControlPlaneDeps, 'clock' | 'random' | 'images' | 'host' | 'log'>
  readonly policy: Pick<Policy, 'pool' | 'bootMs' | 'defaultImage'>
  readonly drivers: Drivers
  readonly boxd: BoxdAccess
}

const endsAtOnce = 4
/** `isBusy`: creates are under way, which spares must not slow. */
export function createWarmPool(context: PoolContext, isBusy: () => boolean): WarmPool {
  const { deps, drivers } = context
  const { clock, host, images, log, random } = deps
  const policy = context.policy.pool
  const demand = createDemand(policy)
  const wishes = new Map<string, Wish>()
  const spares = new Map<string, Spare>()
  const restsUntil = new Map<string, number>()
  const closing = new AbortController()
  let cancelTimer: (() => void) | undefined
  let turn: Promise<void> = Promise.resolve()
  let imagesAreNews = false
  let hits = 0
  let misses = 0

  const usual: Wish = {
    shape: 'container',
    provider: 'local',
    image: context.policy.defaultImage,
    size: chooseSize({}),
  }

  const capable = (wish: Wish): Driver | undefined =>
    drivers
      .opened()
      .find(({ shape, provider, adapt }) => shape === wish.shape && provider === wish.provider && adapt !== undefined)

  const countOf = (key: string): number =>
    [...spares.values()].filter((one) => one.key === key && (one.state === 'ready' || one.state === 'making')).length

  /** Spares to keep, by key. */
  const targets = (): Map<string, number> => {
    const wanted = demand.peaks(clock.now())
    for (const key of wishes.keys()) if (!wanted.has(key)) wishes.delete(key)
    const usualKey = keyOf(usual)
    wishes.set(usualKey, usual)
    wanted.set(usualKey, Math.max(policy.least, wanted.get(usualKey) ?? 0))
    const limited = limitDear(wanted, (key) => wishes.get(key)?.shape !== 'container', policy.mostMachines)
    return shareOut(limited, policy.most)
  }

  const memoryIsShort = async (): Promise<boolean> =>
    (await host.freeMemoryMib()) < host.memoryMib * policy.freeMemoryShare

  const end = async (spare: Spare): Promise<void> => {
    spare.state = 'going'
    try {
      await spare.driver.destroy(spare.id)
    } catch (error) {
      // It has no record, so the next sweep takes it away.
      log.warn({ box: spare.id, err: error }, 'a spare box could not be removed')
    } finally {
      spares.delete(spare.id)
    }
  }

  const make = async (key: string, wish: Wish, driver: Driver): Promise<void> => {
    const id = newBoxId(random)
    try {
      const image = await images.resolve(wish.image)
      const spare: Spare = { id, key, digest: image.digest, driver, state: 'making' }
      spares.set(id, spare)
      await forge(context, { id, image, driver, wish, signal: closing.signal })
      spare.state = 'ready'
    } catch (error) {
      const spare = spares.get(id)
      if (spare) await end(spare)
      restsUntil.set(key, clock.now() + policy.retryMs)
      const noImage = GibilError.is(error) && error.code === 'image_not_found'
      if (!closing.signal.aborted && !noImage) log.warn({ image: wish.image, err: error }, 'no spare box could be made')
    }
  }

  /** Spares of an image whose name means another one by now, or none. */
  const dropOutdated = async (): Promise<void> => {
    imagesAreNews = false
    restsUntil.clear()
    for (const [key, { image }] of wishes) {
      const current = await images.resolve(image).catch(() => undefined)
      for (const spare of spares.values()) {
        if (spare.key === key && spare.state === 'ready' && spare.digest !== current?.digest) await end(spare)
      }
    }
  }

  /** One change towards what is wanted; false when nothing is left to change. */
  const step = async (): Promise<boolean> => {
    if (imagesAreNews) await dropOutdated()
    const wanted = (await memoryIsShort()) ? new Map<string, number>() : targets()
    for (const spare of spares.values()) {
      if (spare.state !== 'ready' || countOf(spare.key) <= (wanted.get(spare.key) ?? 0)) continue
      await end(spare)
      return true
    }
    for (const [key, count] of wanted) {
      const wish = wishes.get(key)
      const driver = wish && capable(wish)
      if (!driver || countOf(key) >= count || (restsUntil.get(key) ?? 0) > clock.now()) continue
      await make(key, wish, driver)
      return true
    }
    return false
  }

  const work = async (): Promise<void> => {
    do if (closing.signal.aborted || isBusy()) break
    while (await step())
    wake(isBusy() ? policy.quietMs : policy.lookEveryMs)
  }
  const wake = (afterMs: number): void => {
    cancelTimer?.()
    if (closing.signal.aborted || policy.most === 0) return
    cancelTimer = clock.after(afterMs, () => {
      turn = turn.then(work).catch((error) => log.error({ err: error }, 'the pool of spare boxes was not tended'))
    })
  }

  return {
    start: () => wake(policy.quietMs),
    take(making) {
      const plain =
        making.isolation === 'namespaces' &&
        making.from === null &&
        making.cloudInit === undefined &&
        making.volumes === undefined
      if (policy.most === 0 || !plain || !capable(making)) return undefined
      const key = keyOf(making)
      demand.note(key, clock.now())
      const { shape, provider, image, size } = making
      wishes.set(key, { shape, provider, image, size })
      wake(policy.quietMs)
      for (const spare of spares.values()) {
        if (spare.key !== key || spare.state !== 'ready' || spare.digest !== making.imageDigest) continue
        spare.state = 'taken'
        hits += 1
        return spare.id
      }
      misses += 1
      return undefined
    },
    giveBack(id) {
      const spare = spares.get(id)
      if (spare?.state === 'taken') spare.state = 'ready'
    },
    claim(id) {
      if (spares.get(id)?.state !== 'taken') return false
      return spares.delete(id)
    },
    has: (id) => spares.has(id),
    lost(id) {
      const spare = spares.get(id)
      if (spare?.state !== 'ready') return
      turn = turn.then(() => end(spare))
      spare.state = 'going'
      wake(policy.quietMs)
    },
    imagesChanged() {
      imagesAreNews = true
      wake(policy.quietMs)
    },
    state() {
      const all = [...spares.values()]
      const wanted = policy.most === 0 ? 0 : [...targets().values()].reduce((sum, count) => sum + count, 0)
      return { ready: all.filter(({ state }) => state === 'ready').length, wanted, hits, misses }
    },
    async close() {
      closing.abort(new GibilError('interrupted', 'The daemon is stopping.'))
      cancelTimer?.()
      await turn
      const lanes = createGate(endsAtOnce)
      const unused = [...spares.values()].filter(({ state }) => state === 'ready')
      await Promise.all(unused.map((spare) => lanes.run(() => end(spare))))
    },
  }
}
