import { GibilError } from '@gibil/contract'

const rethrow = (error: unknown): never => {
  throw GibilError.from(error)
}

/** The same object, whose promises reject with nothing but GibilError: what a store or driver threw raw becomes `internal`. */
export function throwingGibilErrors<T extends object>(target: T): T {
  return new Proxy(target, {
    get(object, key, receiver) {
      const value: unknown = Reflect.get(object, key, receiver)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        const result: unknown = Reflect.apply(value, object, args)
        return result instanceof Promise ? result.catch(rethrow) : result
      }
    },
  })
}
