import { describe, expect, test } from 'vitest'
import { type ErrorCode, errorTable, GibilError } from './index.ts'

describe('the table of errors', () => {
  test.each(Object.entries(errorTable))(
    '%s says when, what to do, and fits every door',
    (code, { status, exit, when, hint }) => {
      expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/)
      expect(status).toBeGreaterThanOrEqual(400)
      expect(status).toBeLessThan(600)
      // 125 to 127 belong to `gibil run` and the shell.
      expect(exit).toBeGreaterThanOrEqual(1)
      expect(exit).toBeLessThan(125)
      expect(when).toMatch(/^[A-Z].*\.$/)
      expect(hint).toMatch(/^[A-Z].*[.…]$/)
    },
  )
})

describe('GibilError', () => {
  test('has the hint of the table unless it is given a better one', () => {
    expect(new GibilError('busy', 'Too much.').hint).toBe(errorTable.busy.hint)
    expect(new GibilError('busy', 'Too much.', { hint: 'Wait.' }).hint).toBe('Wait.')
  })

  test('keeps its cause, and comes through the wire with all else', () => {
    const cause = new Error('deep')
    const error = new GibilError('task_failed', 'It broke.', { cause, details: { step: 'task a' } })
    expect(error.cause).toBe(cause)
    const again = GibilError.fromBody(JSON.parse(JSON.stringify(error.toBody())), 'fallback')
    expect(again).toMatchObject({
      code: 'task_failed',
      message: 'It broke.',
      hint: error.hint,
      details: { step: 'task a' },
    })
  })

  test.each([
    null,
    undefined,
    'x',
    {},
    { error: null },
    { error: { code: 'nope', message: 'x' } },
    { error: { code: 'busy' } },
  ])('a body %o that is no error becomes internal', (body) => {
    expect(GibilError.fromBody(body, 'fallback')).toMatchObject({
      code: 'internal' satisfies ErrorCode,
      message: 'fallback',
    })
  })

  test('from() keeps one of ours and wraps anything else', () => {
    const own = new GibilError('busy', 'x')
    expect(GibilError.from(own)).toBe(own)
    expect(GibilError.from(new TypeError('y'), 'driver_failed')).toMatchObject({ code: 'driver_failed', message: 'y' })
    expect(GibilError.from('z')).toMatchObject({ code: 'internal', message: 'z' })
    expect(GibilError.is({ code: 'busy', message: 'x', hint: 'y' })).toBe(false)
  })
})
