import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createGate } from './gate.ts'
import { createKeyedQueue } from './keyed-queue.ts'

describe('a gate', () => {
  test('never lets through more than it should, and everyone who waits at last, also after failures', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.boolean(), { maxLength: 30 }),
        async (width, works) => {
          const gate = createGate(width, 100)
          let inside = 0
          let most = 0
          const results = await Promise.allSettled(
            works.map((fails) =>
              gate.run(async () => {
                inside += 1
                most = Math.max(most, inside)
                await new Promise(setImmediate)
                inside -= 1
                if (fails) throw new Error('x')
              }),
            ),
          )
          expect(most).toBeLessThanOrEqual(width)
          expect(results.map(({ status }) => status === 'rejected')).toEqual(works)
          await gate.run(async () => undefined)
        },
      ),
      { numRuns: 30 },
    )
  })

  test('refuses more than may wait', async () => {
    const gate = createGate(1, 1)
    const leave = Promise.withResolvers<void>()
    const first = gate.run(() => leave.promise)
    const second = gate.run(async () => 2)
    await expect(gate.run(async () => 3)).rejects.toMatchObject({
      code: 'busy',
      details: { retryAfterSeconds: expect.any(Number) },
    })
    leave.resolve()
    await first
    expect(await second).toBe(2)
  })
})

describe('the turns of a gate', () => {
  const closed = (places: number) => {
    const gate = createGate(1, places)
    const open = Promise.withResolvers<void>()
    const order: string[] = []
    const first = gate.run(() => open.promise, 'x')
    const ask = (owner: string | null) => gate.run(async () => void order.push(String(owner)), owner)
    const go = async (): Promise<void> => {
      open.resolve()
      await first
    }
    return { ask, go, order }
  }

  test('go round the owners, however much one of them asks for', async () => {
    const { ask, go, order } = closed(100)
    const all = ['a', 'a', 'a', 'a', 'b', null, 'b'].map(ask)
    await go()
    await Promise.all(all)
    expect(order).toEqual(['a', 'b', 'null', 'a', 'b', 'a', 'a'])
  })

  test('leave room for the next owner, whatever one of them asks for', async () => {
    const { ask, go } = closed(8)
    const greedy = Array.from({ length: 20 }, () => ask('a'))
    const others = ['b', 'c'].map(ask)
    await go()
    const refused = (await Promise.allSettled(greedy)).filter(({ status }) => status === 'rejected')
    expect(refused).toHaveLength(16)
    await Promise.all(others)
  })
})

describe('a keyed queue', () => {
  test('keeps the order of each key and lets others pass', async () => {
    const queue = createKeyedQueue()
    const order: string[] = []
    const slow = Promise.withResolvers<void>()
    const first = queue.run('a', async () => {
      await slow.promise
      order.push('a1')
      throw new Error('x')
    })
    const second = queue.run('a', async () => void order.push('a2'))
    await queue.run('b', async () => void order.push('b1'))
    slow.resolve()
    await expect(first).rejects.toThrow('x')
    await second
    await queue.idle()
    expect(order).toEqual(['b1', 'a1', 'a2'])
  })
})
