import { GibilError } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'
import type { DriverBox } from '../ports/driver.ts'
import { toFailure } from './failure.ts'

export interface Observation {
  readonly patch: Partial<BoxRecord>
  /** For the event: why the box is not what was written down. */
  readonly note: Readonly<Record<string, unknown>>
}

/**
 * What the record of a box must say once the driver was asked; undefined when it says so already. A create, restore or destroy under way is
 * left to its step, which finishes what it finds.
 */
export function observe(record: BoxRecord, actual: DriverBox | undefined): Observation | undefined {
  if (record.desired === 'gone' || record.remake || record.restoring !== null || record.status === 'creating') {
    return undefined
  }
  if (!actual) {
    if (record.status === 'failed') return undefined
    const place = record.provider === 'local' ? 'on the host' : `at ${record.provider}`
    const failure = {
      code: 'driver_failed',
      message: `Nothing is left of the box "${record.name}" ${place}: it was removed from outside.`,
      hint: `Destroy it: \`gibil destroy ${record.name}\`.`,
    }
    return { patch: { status: 'failed', desired: 'stopped', address: null, failure }, note: { reason: 'vanished' } }
  }
  if (actual.elsewhere !== undefined) {
    if (record.status === 'failed') return undefined
    const failure = toFailure(
      new GibilError('box_elsewhere', `The box "${record.name}" was adopted by another home (${actual.elsewhere}).`),
    )
    return {
      patch: { status: 'failed', desired: 'stopped', address: null, failure },
      note: { reason: 'adopted elsewhere' },
    }
  }
  const now = actual.status === 'partial' ? 'stopped' : actual.status
  if (now === record.status) return undefined
  if (now === 'stopped') {
    if (record.status === 'failed') return undefined
    if (record.restart)
      return { patch: { status: 'stopped', address: null, restart: null }, note: { reason: 'restart' } }
    const { reason = 'the box ended', console } = actual
    const note = { reason, byItself: true, ...(console === undefined ? {} : { console }) }
    // Its memory is lost, and with it what paused meant, also when it was about to be paused. One that was paused because its lease
    // ended does not run again without a lease.
    if (record.desired === 'paused') {
      const desired = record.ttlMs !== null && record.expiresAt === null ? 'stopped' : 'running'
      return { patch: { status: 'stopped', desired, address: null }, note: { ...note, memoryLost: true } }
    }
    return { patch: { status: 'stopped', address: null }, note }
  }
  // Running, but not known to be set up: the start step repeats what may be missing.
  if (now === 'running' && record.desired === 'running' && record.status !== 'paused') return undefined
  return { patch: { status: now, address: actual.address }, note: { reason: 'changed from outside' } }
}
