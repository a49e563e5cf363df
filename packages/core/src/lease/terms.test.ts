import { describe, expect, test } from 'vitest'
import { aRecord } from '../test/a-record.ts'
import { deadlineOf, nextLeaseStep } from './deadline.ts'
import { parseIdle, parseTtl } from './terms.ts'

const range = expect.objectContaining({ code: 'lease_out_of_range' })

describe('parseTtl', () => {
  test('60 minutes when none is given', () => expect(parseTtl(undefined, 'vm')).toBe(3_600_000))
  test('none where the shape allows it', () => {
    expect(parseTtl('none', 'container')).toBeNull()
    expect(parseTtl('none', 'microvm')).toBeNull()
    expect(() => parseTtl('none', 'vm')).toThrow(range)
  })
  test.each([
    ['container', '1s', '365d', '0.5s', '366d'],
    ['microvm', '1s', '365d', '0.5s', '366d'],
    ['vm', '15m', '30d', '14m', '31d'],
  ] as const)('a %s lives %s to %s', (shape, shortest, longest, tooShort, tooLong) => {
    expect(parseTtl(shortest, shape)).toBeGreaterThan(0)
    expect(parseTtl(longest, shape)).toBeGreaterThan(0)
    for (const text of [tooShort, tooLong]) expect(() => parseTtl(text, shape)).toThrow(range)
  })
  test('an idle limit is a second at least', () => {
    expect(parseIdle(undefined)).toBeNull()
    expect(parseIdle('none')).toBeNull()
    expect(parseIdle('1s')).toBe(1000)
    expect(() => parseIdle('0.1s')).toThrow(range)
  })
})

describe('the end of a lease', () => {
  const idle = { lastActiveAt: 1_000_000, busy: false }
  test('is the earlier of its limits', () => {
    const record = aRecord({ expiresAt: 5_000_000, ttlMs: 4_000_000, idleMs: 1_000_000 })
    expect(deadlineOf(record, idle)).toMatchObject({ at: 2_000_000, reason: 'idle' })
    expect(deadlineOf(record, { ...idle, busy: true })).toMatchObject({ at: 5_000_000, reason: 'ttl' })
    expect(deadlineOf({ ...record, status: 'paused', desired: 'paused' }, idle)).toMatchObject({ reason: 'ttl' })
    expect(deadlineOf({ ...record, desired: 'gone' }, idle)).toBeUndefined()
    expect(deadlineOf(aRecord(), idle)).toBeUndefined()
  })

  test('comes after warning and hook, each once for one end, and not before its time', () => {
    const record = aRecord({ expiresAt: 10_000_000, ttlMs: 9_000_000 })
    const deadline = deadlineOf(record, idle)
    if (!deadline) throw new Error('no deadline')
    const at = (now: number, change = {}) => nextLeaseStep({ ...record, ...change }, deadline, now, 30_000)
    expect(at(9_000_000)).toEqual({ lookAt: 9_700_000 })
    expect(at(9_700_000)).toEqual({ due: 'warn' })
    expect(at(9_700_000, { warnedFor: 10_000_000 })).toEqual({ lookAt: 9_970_000 })
    expect(at(9_970_000, { warnedFor: 10_000_000 })).toEqual({ due: 'hook' })
    expect(at(9_970_000, { warnedFor: 10_000_000, hookFor: 10_000_000 })).toEqual({ lookAt: 10_000_000 })
    expect(at(10_000_000)).toEqual({ due: 'end' })
    expect(at(9_700_000, { warnedFor: 9_999_999 })).toEqual({ due: 'warn' })
  })
})
