import type { ControlPlaneDeps } from '../index.ts'

/**
 * The death of a daemon at one place: every call to the outside passes two places, one before it is made and one after it was
 * made and before its answer is heard. At the place with the given number, and from then on, nothing answers any more.
 */
export interface Crash {
  readonly deps: ControlPlaneDeps
  /** How many places were passed. */
  places(): number
  dead(): boolean
  /** It dies no more. */
  disarm(): void
  readonly where: () => string
}

const never = new Promise<never>(() => undefined)

export function createCrash(deps: ControlPlaneDeps, at: number): Crash {
  let count = 0
  let place = ''
  let dead = false
  let armed = true
  const pass = async (name: string): Promise<void> => {
    if (!dead && armed) {
      count += 1
      if (count === at) {
        dead = true
        place = name
      }
    }
    if (dead) await never
  }
  /** An object whose async methods pass a place before and after. */
  const guard = <T extends object>(name: string, target: T): T =>
    new Proxy(target, {
      get(object, key, receiver) {
        const value: unknown = Reflect.get(object, key, receiver)
        if (typeof value !== 'function' || key === 'onExit') return value
        return async (...args: unknown[]) => {
          await pass(`before ${name}.${String(key)}`)
          const result: unknown = await Reflect.apply(value, object, args)
          await pass(`after ${name}.${String(key)}`)
          return result
        }
      },
    })
  const { connectBoxd } = deps
  return {
    places: () => count,
    dead: () => dead,
    disarm: () => {
      armed = false
    },
    where: () => place,
    deps: {
      ...deps,
      store: guard('store', deps.store),
      drivers: deps.drivers.map((driver) => guard('driver', driver)),
      setupLog: guard('setupLog', deps.setupLog),
      images: guard('images', deps.images),
      connectBoxd: (dial) => guard('boxd', connectBoxd(dial)),
      // A dead process has no timers either.
      clock: {
        now: () => deps.clock.now(),
        after: (ms, callback) => deps.clock.after(ms, () => dead || callback()),
      },
    },
  }
}
