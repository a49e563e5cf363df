import { Gibil } from '@gibil/sdk'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFakePlane, type FakePlane } from '../../../daemon/test/support/fake-plane.ts'
import { startTestDaemon, type TestDaemon } from '../../../daemon/test/support/test-daemon.ts'
import { type Watch, watchBoxes } from './watch.ts'

let plane: FakePlane
let daemon: TestDaemon
let watch: Watch | undefined
/** Only what is heard may bring news. */
const settings = { onChange: () => undefined, retryMs: 20, refreshMs: 3_600_000 }
const names = () => watch?.seen.boxes.map(({ name }) => name)

beforeEach(async () => {
  plane = createFakePlane({})
  daemon = await startTestDaemon(plane)
})
afterEach(async () => {
  watch?.stop()
  await daemon[Symbol.asyncDispose]()
})

test('sees boxes come and go by events', async () => {
  const gibil = Gibil.connect({ home: daemon.home })
  watch = watchBoxes(gibil, settings)
  await expect.poll(() => watch?.seen.state).toBe('connected')
  const told = async (type: 'box.running' | 'box.destroyed') => {
    // Again until its stream of events is open.
    plane.emit({ type, boxId: 'b1', boxName: 'work' })
    return names()
  }
  const box = await gibil.create({ name: 'work' })
  await expect.poll(() => told('box.running')).toEqual(['work'])
  await box.destroy()
  expect(names()).toEqual(['work'])
  await expect.poll(() => told('box.destroyed')).toEqual([])
})

test('a daemon that goes is seen to be gone, and is found again', async () => {
  watch = watchBoxes(Gibil.connect({ home: daemon.home }), settings)
  await expect.poll(() => watch?.seen.state).toBe('connected')
  await daemon.daemon.stop()
  await expect.poll(() => watch?.seen.state).toBe('unreachable')
  // The daemon may have said first that it stops.
  await expect.poll(() => watch?.seen.problem?.code).toBe('daemon_unreachable')
  await plane.create({ name: 'meanwhile' })
  await using _again = await startTestDaemon(plane, { home: daemon.home })
  await expect.poll(names).toEqual(['meanwhile'])
})

test('a wrong token is told apart from no daemon', async () => {
  watch = watchBoxes(Gibil.connect({ url: daemon.daemon.url, token: 'wrong' }), settings)
  await expect.poll(() => watch?.seen.state).toBe('refused')
})

test('says nothing after it was stopped', async () => {
  let told = 0
  watch = watchBoxes(Gibil.connect({ home: daemon.home }), {
    ...settings,
    onChange: () => {
      told += 1
    },
  })
  watch.stop()
  await watch.refresh()
  expect(told).toBe(0)
})
