import { expect, it, vi } from 'vitest'
import { createExitWatch } from './exit-watch.ts'

/** Only what the watch uses: each call is settled by the test. */
function watching() {
  const calls: PromiseWithResolvers<void>[] = []
  const procWatch = vi.fn(() => {
    const call = Promise.withResolvers<void>()
    calls.push(call)
    return call.promise
  })
  const ended: string[] = []
  const watch = createExitWatch({ procWatch }, () => undefined)
  watch.onExit((id) => ended.push(id))
  return { watch, calls, ended }
}

it('tells of a box that ended, and not of one that was forgotten before', async () => {
  const { watch, calls, ended } = watching()
  watch.watch('a', 1)
  watch.watch('b', 2)
  watch.forget('a')
  for (const call of calls) call.resolve()
  await expect.poll(() => ended).toEqual(['b'])
})

it('watches on when hostkit died meanwhile', async () => {
  const { watch, calls, ended } = watching()
  watch.watch('a', 1)
  calls[0]?.reject(new Error('hostkit ended'))
  await expect.poll(() => calls).toHaveLength(2)
  expect(ended).toEqual([])
  calls[1]?.resolve()
  await expect.poll(() => ended).toEqual(['a'])
})

it('says nothing and asks no more once it is closed', async () => {
  const { watch, calls, ended } = watching()
  watch.watch('a', 1)
  watch.close()
  calls[0]?.reject(new Error('hostkit ended'))
  await new Promise((done) => setTimeout(done, 300))
  expect(calls).toHaveLength(1)
  expect(ended).toEqual([])
})
