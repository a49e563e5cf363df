import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFakeDriver } from './fake-driver.ts'
import { startWorld, type World } from './world.ts'

let world: World
beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.close())

const only = { allow: ['203.0.113.7'], deny: ['0.0.0.0/0'] }
const create = (input: Parameters<World['plane']['create']>[0] = {}) =>
  world.clock.until(world.plane.create({ name: 'w', ...input }))
const code = (expected: string) => expect.objectContaining({ code: expected })
const toldOf = (id: string) => world.box(id).spec.egress

test('a box is made with what it may connect to, and shows it', async () => {
  const box = await create({ egress: only })
  expect(box.egress).toEqual(only)
  expect(toldOf(box.id)).toEqual(only)
  expect((await create({ name: 'open' })).egress).toEqual({ allow: [], deny: [] })
})

test('it changes while the box runs, is paused, or is stopped', async () => {
  const { id } = await create()
  expect((await world.plane.setEgress('w', only)).egress).toEqual(only)
  expect(toldOf(id)).toEqual(only)
  await world.clock.until(world.plane.pause('w'))
  await world.plane.setEgress('w', { allow: [], deny: ['198.51.100.0/24'] })
  expect(toldOf(id)).toEqual({ allow: [], deny: ['198.51.100.0/24'] })
  await world.clock.until(world.plane.stopBox('w'))
  await world.plane.setEgress('w', only)
  await world.clock.until(world.plane.startBox('w'))
  expect(toldOf(id)).toEqual(only)
})

test('what could not be brought about is tried again, also by the next daemon', async () => {
  const { id } = await create()
  world.driver.failures.set('setEgress', [new Error('the firewall is locked')])
  await expect(world.plane.setEgress('w', only)).rejects.toEqual(code('driver_failed'))
  expect((await world.plane.get('w')).egress).toEqual(only)
  expect(toldOf(id)).toBeUndefined()
  await world.clock.until(world.plane.stop())
  await world.restart()
  expect(toldOf(id)).toEqual(only)
})

test('a fork has it of its source, or its own', async () => {
  await create({ egress: only })
  const { boxes } = await world.clock.until(world.plane.fork({ from: 'w', name: 'f' }))
  expect(boxes[0]?.egress).toEqual(only)
  const own = await world.clock.until(world.plane.fork({ from: 'w', name: 'g', egress: { allow: [], deny: [] } }))
  expect(own.boxes[0]?.egress).toEqual({ allow: [], deny: [] })
})

test('it is refused where it cannot be had, before anything is made', async () => {
  await expect(create({ network: 'none', egress: only })).rejects.toEqual(code('invalid_request'))
  await create({ network: 'none', egress: { allow: [], deny: ['0.0.0.0/0'] } })
  await expect(world.plane.setEgress('w', only)).rejects.toEqual(code('invalid_request'))
  const { setEgress: _, ...driver } = createFakeDriver(world.host)
  await world.clock.until(world.plane.stop())
  await world.restart({ drivers: [driver] })
  await expect(create({ name: 'x', egress: only })).rejects.toEqual(code('unsupported_by_shape'))
  await expect(world.plane.setEgress('w', { allow: [], deny: ['0.0.0.0/0'] })).rejects.toEqual(
    code('unsupported_by_shape'),
  )
})
