import { expect, it } from 'vitest'
import { createKeyedLock } from './keyed-lock.ts'

it('runs tasks of one key one after another, also after a failure, and of two keys together', async () => {
  const lock = createKeyedLock()
  const seen: string[] = []
  const gate = Promise.withResolvers<void>()
  const first = lock.run('a', async () => {
    seen.push('a1')
    await gate.promise
    seen.push('a1 ends')
    throw new Error('first')
  })
  const second = lock.run('a', async () => {
    seen.push('a2')
    return 2
  })
  await lock.run('b', async () => seen.push('b'))
  expect(seen).toEqual(['a1', 'b'])
  gate.resolve()
  await expect(first).rejects.toThrow('first')
  expect(await second).toBe(2)
  expect(seen).toEqual(['a1', 'b', 'a1 ends', 'a2'])
})
