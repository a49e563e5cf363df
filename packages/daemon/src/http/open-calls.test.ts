import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createOpenCalls } from './open-calls.ts'

test('a token has so many calls open and no more, whatever others have', () => {
  const calls = createOpenCalls()
  const leave = Array.from({ length: 256 }, () => calls.enter('a'))
  expect(() => calls.enter('a')).toThrow(expect.objectContaining({ code: 'busy', details: { retryAfterSeconds: 1 } }))
  calls.enter('b')
  leave[0]?.()
  leave[0]?.()
  calls.enter('a')
  expect(() => calls.enter('a')).toThrow(expect.objectContaining({ code: 'busy' }))
})

test('calls with large answers wait for each other, and for nobody else', async () => {
  const calls = createOpenCalls()
  const never = new AbortController()
  const inside: string[] = []
  const enter = async (owner: string | null, signal = never.signal): Promise<() => void> => {
    const leave = await calls.enterLarge(owner, signal)
    inside.push(String(owner))
    return leave
  }
  const first = await Promise.all([1, 2, 3, 4].map(() => enter('a')))
  const gone = new AbortController()
  const left = enter('a', gone.signal)
  const fifth = enter('a')
  await enter(null)
  await turn()
  expect(inside.filter((owner) => owner === 'a')).toHaveLength(4)
  gone.abort(new Error('left'))
  await expect(left).rejects.toThrow('left')
  first[0]?.()
  first[0]?.()
  const leave = await fifth
  const sixth = enter('a')
  await turn()
  expect(inside.filter((owner) => owner === 'a')).toHaveLength(5)
  leave()
  await sixth
})
