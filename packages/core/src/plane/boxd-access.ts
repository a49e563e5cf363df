import type { Duplex } from 'node:stream'
import { GibilError } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'
import type { BoxdPort, ConnectBoxd } from '../ports/boxd.ts'
import type { Clock } from '../ports/clock.ts'
import { sleep } from '../util/timing.ts'
import type { Drivers } from './drivers.ts'

/** Where a box is, and when it started: null while it is being made. */
type Reachable = Pick<BoxRecord, 'id' | 'shape' | 'provider' | 'startedAt'>

export interface BoxdAccess {
  /** A byte stream to boxd; tries again for a while when the box has just started. Throws `boxd_unreachable`. */
  dial(record: Reachable, signal?: AbortSignal): Promise<Duplex>
  /** boxd of a box, for the domain itself. The signal ends its dialling. */
  of(record: Reachable, signal?: AbortSignal): BoxdPort
}

const firstPauseMs = 5
const longestPauseMs = 250

export function createBoxdAccess({
  drivers,
  connectBoxd,
  clock,
  bootMs,
}: {
  drivers: Drivers
  connectBoxd: ConnectBoxd
  clock: Clock
  bootMs: number
}): BoxdAccess {
  const dial = async (record: Reachable, signal?: AbortSignal): Promise<Duplex> => {
    const driver = drivers.for(record)
    // A record without a start is one whose box is just being made.
    const patientUntil = (record.startedAt ?? clock.now()) + bootMs
    for (let pause = firstPauseMs; ; pause = Math.min(longestPauseMs, pause * 2)) {
      signal?.throwIfAborted()
      try {
        return await driver.dial(record.id, signal)
      } catch (error) {
        signal?.throwIfAborted()
        const again = GibilError.is(error) && error.code === 'boxd_unreachable' && clock.now() + pause < patientUntil
        if (!again) throw GibilError.from(error, 'boxd_unreachable')
      }
      await sleep(clock, pause, signal)
    }
  }
  return {
    dial,
    of: (record, signal) =>
      connectBoxd((call) => dial(record, signal && call ? AbortSignal.any([signal, call]) : (call ?? signal))),
  }
}
