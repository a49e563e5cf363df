import type { Status } from '@gibil/contract'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { BoxRecord, Desired, DriverBox } from '../index.ts'
import { aRecord } from '../test/a-record.ts'
import { nextStep } from './next-step.ts'
import { observe } from './observe.ts'

describe('nextStep', () => {
  test.each<[Desired, Status, ReturnType<typeof nextStep>]>([
    ['running', 'creating', 'create'],
    ['running', 'running', undefined],
    ['running', 'paused', 'resume'],
    ['running', 'stopped', 'start'],
    ['running', 'failed', 'start'],
    ['paused', 'creating', 'create'],
    ['paused', 'running', 'pause'],
    ['paused', 'paused', undefined],
    ['paused', 'stopped', 'start'],
    ['stopped', 'creating', 'create'],
    ['stopped', 'running', 'stop'],
    ['stopped', 'paused', 'stop'],
    ['stopped', 'stopped', undefined],
    ['stopped', 'failed', undefined],
    ['gone', 'creating', 'destroy'],
    ['gone', 'running', 'destroy'],
    ['gone', 'paused', 'destroy'],
    ['gone', 'stopped', 'destroy'],
    ['gone', 'failed', 'destroy'],
    ['gone', 'destroying', 'destroy'],
  ])('wanted %s and %s: %s', (desired, status, step) => {
    expect(nextStep({ desired, status, remake: null, restoring: null })).toBe(step)
  })

  test('a box that has to be made anew is, unless it goes', () => {
    const { shape, provider, image, imageDigest, size } = aRecord()
    const remake = { shape, provider, image, imageDigest, size }
    expect(nextStep({ desired: 'running', status: 'running', remake, restoring: null })).toBe('remake')
    expect(nextStep({ desired: 'gone', status: 'running', remake, restoring: null })).toBe('destroy')
  })

  test('a box that has to be put back to a snapshot is, unless it goes', () => {
    const box = { status: 'stopped', remake: null, restoring: 'snaaaaaaaaaaaa' } as const
    expect(nextStep({ desired: 'running', ...box })).toBe('restore')
    expect(nextStep({ desired: 'gone', ...box })).toBe('destroy')
  })
})

describe('observe', () => {
  const actual = (status: DriverBox['status'], reason?: string): DriverBox => ({
    id: 'bxaaaaaaaaaaaa',
    status,
    address: '10.0.0.2',
    ...(reason === undefined ? {} : { reason }),
  })

  test.each<[Partial<BoxRecord>, DriverBox | undefined, Partial<BoxRecord> | undefined]>([
    [{}, actual('running'), undefined],
    [{}, actual('stopped'), { status: 'stopped' }],
    [{}, actual('partial'), { status: 'stopped' }],
    [{}, actual('paused'), { status: 'paused' }],
    [{}, undefined, { status: 'failed', desired: 'stopped' }],
    [{ status: 'paused', desired: 'paused' }, actual('stopped'), { status: 'stopped', desired: 'running' }],
    [{ status: 'running', desired: 'paused' }, actual('stopped'), { status: 'stopped', desired: 'running' }],
    [
      { status: 'paused', desired: 'paused', ttlMs: 60_000, expiresAt: null },
      actual('stopped'),
      { status: 'stopped', desired: 'stopped' },
    ],
    [{ status: 'paused', desired: 'paused' }, actual('running'), { status: 'running' }],
    [{ status: 'stopped', desired: 'stopped' }, actual('running'), { status: 'running' }],
    [{ status: 'stopped', desired: 'running' }, actual('running'), undefined],
    [{ status: 'stopped', desired: 'stopped' }, actual('partial'), undefined],
    [{ status: 'failed', desired: 'stopped' }, actual('stopped'), undefined],
    [{ status: 'failed', desired: 'stopped' }, undefined, undefined],
    [{ status: 'creating' }, undefined, undefined],
    [{ status: 'creating' }, actual('partial'), undefined],
    [{ desired: 'gone', status: 'destroying' }, undefined, undefined],
  ])('%o seen as %o', (change, seen, patch) => {
    const found = observe(aRecord(change), seen)
    if (patch === undefined) expect(found).toBeUndefined()
    else expect(found?.patch).toMatchObject(patch)
  })

  test('says why a box ended, when the driver knows', () => {
    expect(observe(aRecord(), actual('stopped', 'out of memory'))?.note).toMatchObject({ reason: 'out of memory' })
  })

  test('what was written down is not found again: looking twice changes nothing', () => {
    const statuses = fc.constantFrom<Status>('creating', 'running', 'paused', 'stopped', 'failed', 'destroying')
    const wishes = fc.constantFrom<Desired>('running', 'paused', 'stopped', 'gone')
    const seen = fc.option(fc.constantFrom<DriverBox['status']>('running', 'paused', 'stopped', 'partial'))
    fc.assert(
      fc.property(statuses, wishes, seen, (status, desired, there) => {
        const record = aRecord({ status, desired })
        const found = observe(record, there === null ? undefined : actual(there))
        if (found)
          expect(observe({ ...record, ...found.patch }, there === null ? undefined : actual(there))).toBeUndefined()
      }),
    )
  })
})
