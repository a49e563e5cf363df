import type { Context } from './context.ts'

/** A look at all boxes of a cloud costs some of the calls that it allows. */
const everyMs = 600_000

/**
 * Has drivers end what other homes have left at a provider beyond its lease, as where the machine of such a home is gone for good. Boxes of this home are kept: their
 * leases are kept here, and may have been extended without the provider having been told yet.
 */
export function createLeaseSweep({ boxes, deps, drivers }: Context): () => Promise<void> {
  const { clock, log } = deps
  let next = Number.NEGATIVE_INFINITY
  return async () => {
    if (clock.now() < next) return
    next = clock.now() + everyMs
    for (const driver of drivers.opened()) {
      if (!driver.sweep) continue
      try {
        const keep = new Set((await boxes.list()).map(({ id }) => id))
        for (const { failure, ...box } of await driver.sweep(keep)) {
          if (failure) log.warn({ ...box, err: failure }, 'a box whose lease is over could not be ended')
          else log.info(box, 'a box of another home was ended, since its lease was over')
        }
      } catch (error) {
        log.warn({ provider: driver.provider, err: error }, 'leases of other homes could not be looked at')
      }
    }
  }
}
