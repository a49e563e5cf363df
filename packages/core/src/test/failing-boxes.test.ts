import type { CreateBox } from '@gibil/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startWorld, type World } from './world.ts'

let world: World
beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.close())

const create = (input: CreateBox = {}) => world.clock.until(world.plane.create({ name: 'w', ttl: 'none', ...input }))
const until = <T>(work: Promise<T>): Promise<T> => world.clock.until(work)
const code = (expected: string) => expect.objectContaining({ code: expected })
const events = async (type: string) => (await world.store.listEvents(0, 1000)).filter((event) => event.type === type)
/** Long enough for whatever the end of a box leads to. */
const later = () => world.clock.advance(5000)
const panic = 'Kernel panic - not syncing: sysrq triggered crash'

describe('restart', () => {
  test('of a box that runs ends it with a grace and starts it on its disk: same id, name, lease', async () => {
    const before = await create({ ttl: '2h' })
    world.box(before.id).disk.set('/file', 'kept')
    const after = await until(world.plane.restart('w'))
    expect(after).toMatchObject({ id: before.id, name: 'w', status: 'running', lease: before.lease, failure: null })
    expect(world.box(before.id)).toMatchObject({ starts: 2, graces: [5000] })
    expect(world.box(before.id).disk.get('/file')).toBe('kept')
    const [stopped] = await events('box.stopped')
    expect(stopped?.data).toEqual({ reason: 'restart' })
  })

  test('with force, or of one that does not answer, waits for no grace', async () => {
    const { id } = await create()
    await until(world.plane.restart('w', { force: true }))
    world.driver.hears(id, { forMs: 4000 })
    await world.clock.settle()
    expect((await world.plane.get('w')).unresponsiveSince).not.toBeNull()
    expect(await until(world.plane.restart('w'))).toMatchObject({ status: 'running', unresponsiveSince: null })
    expect(world.box(id).graces).toEqual([0, 0])
  })

  test.each(['paused', 'stopped', 'failed'] as const)('of a box that is %s makes it run', async (status) => {
    const { id } = await create({ onFailure: 'stop' })
    if (status === 'paused') await until(world.plane.pause('w'))
    if (status === 'stopped') await until(world.plane.stopBox('w'))
    if (status === 'failed') world.driver.kill(id, 'ended')
    await later()
    expect((await world.plane.get('w')).status).toBe(status)
    expect(await until(world.plane.restart('w'))).toMatchObject({ status: 'running', failure: null })
    expect(world.box(id).starts).toBe(2)
  })

  test('fresh makes the disk anew, and refuses where the repository could not be had again', async () => {
    const { id } = await create()
    world.box(id).disk.set('/file', 'old')
    expect(await until(world.plane.restart('w', { fresh: true }))).toMatchObject({ id, status: 'running' })
    expect(world.box(id).disk.has('/file')).toBe(false)
    await until(world.plane.create({ name: 'sent', repo: { upload: true }, wait: 'running' }))
    await expect(until(world.plane.restart('sent', { fresh: true }))).rejects.toEqual(code('wrong_state'))
  })

  test('that was cut off by the end of the daemon is finished by the next, and is no failure of the box', async () => {
    const { id } = await create({ onFailure: 'destroy' })
    const reached = Promise.withResolvers<void>()
    world.driver.hold = async (method) => {
      if (method !== 'stop') return
      reached.resolve()
      await new Promise(() => undefined)
    }
    world.plane.restart('w').catch(() => undefined)
    await until(reached.promise)
    // The old control plane is never heard of again, and the box ended on the way.
    world.box(id).status = 'stopped'
    world.box(id).reason = 'ended'
    await world.restart()
    await later()
    expect(await world.plane.get('w')).toMatchObject({ id, status: 'running' })
    expect(world.box(id).starts).toBe(2)
  })

  test('of a start that fails leaves the box stopped, and is told', async () => {
    await create()
    world.driver.failures.set('start', [new Error('no room')])
    await expect(until(world.plane.restart('w'))).rejects.toEqual(code('driver_failed'))
    await world.clock.advance(600_000)
    expect((await world.plane.get('w')).status).toBe('stopped')
    expect(await until(world.plane.restart('w'))).toMatchObject({ status: 'running' })
  })
})

describe('a box that ends by itself', () => {
  test('starts again, and the event has its last words', async () => {
    const { id } = await create()
    world.driver.kill(id, 'its kernel panicked', panic)
    await later()
    expect(await world.plane.get('w')).toMatchObject({ status: 'running', onFailure: 'restart' })
    expect((await events('box.stopped'))[0]?.data).toMatchObject({
      reason: 'its kernel panicked',
      byItself: true,
      console: panic,
    })
  })

  test('again and again stays as it is at last, with its last words', async () => {
    const { id } = await create()
    for (let round = 0; round < 5; round += 1) {
      world.driver.kill(id, 'its kernel panicked', panic)
      await world.clock.advance(30_000)
    }
    expect(await world.plane.get('w')).toMatchObject({ status: 'failed', failure: { code: 'box_ended', log: panic } })
  })

  test.each(['restart', 'destroy'] as const)(
    'since it powered itself off stays stopped with onFailure %s',
    async (onFailure) => {
      const { id } = await create({ onFailure })
      world.driver.kill(id, 'it powered itself off', undefined, 'power-off')
      await world.clock.advance(600_000)
      expect(await world.plane.get('w')).toMatchObject({ status: 'stopped', failure: null })
      expect((await events('box.stopped'))[0]?.data).toMatchObject({ reason: 'it powered itself off', byItself: true })
      expect(await until(world.plane.startBox('w'))).toMatchObject({ status: 'running' })
    },
  )

  test.each(['stop', 'destroy'] as const)('since it rebooted starts again with onFailure %s', async (onFailure) => {
    const { id } = await create({ onFailure })
    world.driver.kill(id, 'it rebooted', undefined, 'reboot')
    await later()
    expect(await world.plane.get('w')).toMatchObject({ id, status: 'running' })
    expect(world.box(id).starts).toBe(2)
  })

  test('stays so with onFailure stop, and shows why', async () => {
    const { id } = await create({ onFailure: 'stop' })
    world.driver.kill(id, 'out of memory', panic)
    await world.clock.advance(600_000)
    expect(await world.plane.get('w')).toMatchObject({
      status: 'failed',
      failure: { code: 'box_ended', message: 'The box "w" ended by itself: out of memory.', log: panic },
    })
    expect(world.box(id).starts).toBe(1)
  })

  test('is gone with onFailure destroy, and the event says why', async () => {
    const { id } = await create({ onFailure: 'destroy' })
    world.driver.kill(id, 'its kernel panicked', panic)
    await later()
    expect(await world.plane.list()).toEqual([])
    expect(world.host.boxes.size).toBe(0)
    expect((await events('box.destroyed'))[0]?.data).toMatchObject({ failure: { code: 'box_ended', log: panic } })
  })

  test('with its host starts again whatever its onFailure is', async () => {
    const { id } = await create({ onFailure: 'destroy' })
    world.box(id).status = 'stopped'
    await world.restart()
    await later()
    expect(await world.plane.get('w')).toMatchObject({ id, status: 'running' })
  })
})

describe('a box that does not answer', () => {
  test('is shown so, and no longer once it does', async () => {
    const { id } = await create({ onFailure: 'destroy' })
    world.driver.hears(id, { forMs: 4000, console: panic })
    world.driver.hears(id, { forMs: 5000, console: panic })
    await world.clock.settle()
    const { status, unresponsiveSince } = await world.plane.get('w')
    expect(status).toBe('running')
    expect(Date.parse(unresponsiveSince ?? '')).toBe(world.clock.now() - 4000)
    world.driver.hears(id, null)
    await world.clock.settle()
    expect((await world.plane.get('w')).unresponsiveSince).toBeNull()
    expect((await events('box.unresponsive')).map(({ data }) => data['console'])).toEqual([panic])
    expect(await events('box.responsive')).toHaveLength(1)
    expect(world.box(id).starts).toBe(1)
  })

  test.each([
    ['restart', 'running'],
    ['stop', 'failed'],
    ['destroy', undefined],
  ] as const)('for too long is ended at once, and then %s decides', async (onFailure, status) => {
    const { id } = await create({ onFailure })
    world.driver.hears(id, { forMs: 31_000, console: panic })
    await later()
    expect((await world.plane.list())[0]?.status).toBe(status)
    if (status === 'running') expect(world.box(id)).toMatchObject({ starts: 2, graces: [0] })
    const [stopped] = await events('box.stopped')
    expect(stopped?.data).toMatchObject({ reason: 'it hung: no answer for 31 s', byItself: true, console: panic })
  })

  test('since it waits for something is shown with that, and never ended for it', async () => {
    const { id } = await create({ onFailure: 'destroy' })
    world.driver.hears(id, { forMs: 2500 })
    world.driver.hears(id, { forMs: 60_000, waitsFor: 'room' })
    world.driver.hears(id, { forMs: 61_000, waitsFor: 'room' })
    await later()
    const { status, unresponsiveSince, waitsFor } = await world.plane.get('w')
    expect({ status, waitsFor }).toEqual({ status: 'running', waitsFor: 'room' })
    expect(unresponsiveSince).not.toBeNull()
    world.driver.hears(id, null)
    await world.clock.settle()
    expect(await world.plane.get('w')).toMatchObject({ unresponsiveSince: null, waitsFor: null })
    world.driver.hears(id, { forMs: 4000, waitsFor: 'room' })
    await world.clock.settle()
    expect((await events('box.unresponsive')).map(({ data }) => data['waitsFor'])).toEqual([undefined, 'room'])
    // What it is like after it has waited is another matter.
    world.driver.hears(id, { forMs: 4000 })
    await world.clock.settle()
    expect(await world.plane.get('w')).toMatchObject({ status: 'running', waitsFor: null })
    expect(world.box(id).starts).toBe(1)
  })

  test('before it was started anew is not taken for one that does not since', async () => {
    const { id } = await create()
    const release = Promise.withResolvers<void>()
    world.driver.hold = async (method) => (method === 'start' ? release.promise : undefined)
    const restarted = world.plane.restart('w', { force: true })
    await world.clock.settle()
    world.driver.hears(id, { forMs: 31_000 })
    release.resolve()
    await until(restarted)
    await later()
    expect(world.box(id).starts).toBe(2)
    expect(await world.plane.get('w')).toMatchObject({ status: 'running', unresponsiveSince: null })
  })
})

test('the console is what the driver has', async () => {
  const { id } = await create()
  world.box(id).console = panic
  expect(await world.plane.console('w')).toBe(panic)
})
