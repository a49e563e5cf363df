import { GibilError, type Status } from '@gibil/contract'
import { describe, expect, test } from 'vitest'
import { aRecord } from '../test/a-record.ts'
import { allow, lifecycle, type Verb } from './lifecycle.ts'

// go: +, done already: =, wait for it: w, refused: -
const table = `
             pause resume stop start extend destroy connect upload
  creating   -     -      -    -     +      +       w       w
  running    +     =      +    =     +      +       +       +
  paused     =     +      +    -     +      +       +       -
  stopped    -     -      =    +     +      +       -       -
  failed     -     -      -    +     +      +       -       -
  destroying -     -      -    -     -      +       -       -
  destroyed  -     -      -    -     -      -       -       -`
const [head = '', ...rows] = table.trim().split('\n')
const verbs = head.trim().split(/\s+/) as Verb[]
const cases = rows.flatMap((row) => {
  const [status = '', ...marks] = row.trim().split(/\s+/)
  return verbs.map((verb, index) => ({ status: status as Status, verb, mark: marks[index] ?? '' }))
})

describe('which verb in which status', () => {
  test('the table of the test is whole', () => {
    expect(cases).toHaveLength(Object.keys(lifecycle).length * verbs.length)
  })

  test.each(cases)('$verb while $status: $mark', ({ status, verb, mark }) => {
    const desired = status === 'stopped' ? 'stopped' : 'running'
    const record = aRecord({ status, desired, name: 'w' })
    if (mark !== '-') {
      expect(allow(verb, record)).toBe({ '+': 'go', '=': 'done', w: 'wait' }[mark])
      return
    }
    try {
      allow(verb, record)
    } catch (error) {
      expect(error).toMatchObject({
        code: 'wrong_state',
        message: expect.stringContaining(status),
        details: { status },
      })
      if (GibilError.is(error)) expect(error.hint).not.toContain('<box>')
      return
    }
    throw new Error('it was allowed')
  })

  test('a box that has stopped and is about to run again is waited for, and can be kept from it', () => {
    const record = aRecord({ status: 'stopped', desired: 'running' })
    expect(allow('connect', record)).toBe('wait')
    expect(allow('stop', record)).toBe('go')
    expect(allow('start', record)).toBe('go')
  })

  test('a box that is about to go counts as going, whatever it still is', () => {
    expect(() => allow('pause', aRecord({ status: 'running', desired: 'gone' }))).toThrow(/destroying/)
  })
})
