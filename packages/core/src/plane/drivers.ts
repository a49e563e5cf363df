import { type Failure, GibilError, type Provider, type Shape } from '@gibil/contract'
import { toFailure } from '../box/failure.ts'
import type { Driver } from '../ports/driver.ts'
import type { Log } from '../ports/log.ts'

type Place = { readonly provider: Provider; readonly shape: Shape }

/** The drivers of this daemon, some of which this host may be unfit for. */
export interface Drivers {
  /** Opens those that are not open. One that cannot be opened takes no boxes, and is tried again later. */
  open(): Promise<void>
  close(): Promise<void>
  /** Throws `unsupported_by_shape` when there is none, and what `open` threw when it is not open. */
  for(place: Place): Driver
  /** The same, after another try to open that of a cloud: the token that it lacked may be there by now. */
  reach(place: Place): Promise<Driver>
  opened(): readonly Driver[]
  state(): { shape: Shape; provider: Provider; unavailable: Failure | null }[]
}

export function createDrivers(drivers: readonly Driver[], log: Log): Drivers {
  const open = new Set<Driver>()
  const failures = new Map<Driver, GibilError>()
  const opening = new Map<Driver, Promise<void>>()

  const openNow = async (driver: Driver): Promise<void> => {
    try {
      await driver.open()
      open.add(driver)
      failures.delete(driver)
    } catch (error) {
      const failure = GibilError.from(error, 'driver_failed')
      const known = failures.get(driver)?.message === failure.message
      failures.set(driver, failure)
      // It is tried again every minute.
      if (!known) log.warn({ shape: driver.shape, provider: driver.provider, err: error }, 'a driver cannot be used')
    }
  }
  const openOne = (driver: Driver): Promise<void> => {
    const work = opening.get(driver) ?? openNow(driver).finally(() => opening.delete(driver))
    opening.set(driver, work)
    return work
  }
  const find = ({ provider, shape }: Place): Driver => {
    const driver = drivers.find((one) => one.provider === provider && one.shape === shape)
    if (driver) return driver
    const known = drivers.map((one) => `${one.shape} (${one.provider})`).join(', ')
    throw new GibilError('unsupported_by_shape', `This daemon cannot make a ${shape} of ${provider}.`, {
      hint: `It can make: ${known || 'nothing'}.`,
    })
  }
  const openedAt = (place: Place): Driver => {
    const driver = find(place)
    if (open.has(driver)) return driver
    throw failures.get(driver) ?? new GibilError('interrupted', 'The daemon is starting or stopping.')
  }

  return {
    async open() {
      for (const driver of drivers) if (!open.has(driver)) await openOne(driver)
    },
    async reach(place) {
      const driver = find(place)
      if (!open.has(driver) && failures.has(driver) && place.provider !== 'local') await openOne(driver)
      return openedAt(place)
    },
    async close() {
      const closing = [...open]
      open.clear()
      await Promise.all(closing.map((driver) => driver.close()))
    },
    for: openedAt,
    opened: () => [...open],
    state: () =>
      drivers.map((driver) => {
        const failure = failures.get(driver)
        return { shape: driver.shape, provider: driver.provider, unavailable: failure ? toFailure(failure) : null }
      }),
  }
}
