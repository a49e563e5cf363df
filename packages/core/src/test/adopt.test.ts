import { GibilError } from '@gibil/contract'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFakeCloud, type FakeCloud } from './fake-cloud.ts'
import { createWorld, type World } from './world.ts'

const minute = 60_000
const hour = 60 * minute

/** Two homes with a store each, that share a clock and what there is at the cloud. */
let laptop: World
let desktop: World
let cloud: FakeCloud

const start = (world: World, home: string) => {
  const deps = world.deps()
  return world.restart({ drivers: [cloud.driver(home)], policy: { ...deps.policy, reconcileEveryMs: minute } })
}
const until = <T>(work: Promise<T>): Promise<T> => laptop.clock.until(work)
const create = (name: string, more: object = {}) =>
  until(laptop.plane.create({ name, provider: 'hetzner', ttl: '2h', wait: 'running', ...more }))

beforeEach(async () => {
  laptop = createWorld()
  cloud = createFakeCloud(laptop.host, laptop.clock)
  desktop = createWorld({}, laptop)
  await start(laptop, 'laptop')
  await start(desktop, 'desktop')
})
afterEach(async () => {
  await laptop.close()
  await desktop.close()
  expect(laptop.host.violations).toEqual([])
})

test('a box of another home is listed and taken with its lease, its machine and what it costs', async () => {
  const { id, lease } = await create('w')
  await laptop.clock.advance(hour + minute)
  expect(await desktop.plane.adoptable()).toMatchObject([
    { id, name: 'w', home: 'laptop', host: 'laptop', status: 'running', expiresAt: lease.expiresAt },
  ])
  const box = await until(desktop.plane.adopt('w', {}))
  expect(box).toMatchObject({ id, name: 'w', status: 'running', readiness: 'ready', provider: 'hetzner', owner: null })
  expect(box.lease).toMatchObject({ expiresAt: lease.expiresAt, onExpire: 'destroy', deadlineAtProvider: 'same' })
  expect(box.cost).toMatchObject({ soFar: '0.022', billed: true })
  expect(await desktop.plane.adoptable()).toEqual([])
  expect((await until(desktop.plane.extend('w', '10h'))).lease.deadlineAtProvider).toBe('same')
  const { stream } = await until(desktop.plane.connect('w'))
  stream.destroy()
  await until(desktop.plane.destroy(id))
  expect(laptop.host.boxes.size).toBe(0)
})

test('the home that had it gives it up: it neither ends it with its lease nor pays for it any more', async () => {
  const { id } = await create('w')
  await until(desktop.plane.adopt('w', { ttl: '10h' }))
  await laptop.clock.advance(2 * minute)
  const left = await laptop.plane.get('w')
  expect(left).toMatchObject({ status: 'failed', failure: { code: 'box_elsewhere' }, cost: { billed: false } })
  await laptop.clock.advance(3 * hour)
  expect(await laptop.plane.list()).toEqual([])
  expect(await desktop.plane.get(id)).toMatchObject({ status: 'running' })
  expect(laptop.host.boxes.has(id)).toBe(true)
})

test('a home can have its box back, as it knew it', async () => {
  const { id } = await create('w', { env: { KEY: 'value' } })
  await until(desktop.plane.adopt(id, {}))
  await laptop.clock.advance(2 * minute)
  expect(await until(laptop.plane.adopt('w', {}))).toMatchObject({ id, status: 'running', envNames: ['KEY'] })
  await laptop.clock.advance(2 * minute)
  expect(await desktop.plane.get(id)).toMatchObject({ failure: { code: 'box_elsewhere' } })
  await until(desktop.plane.destroy(id))
  expect(laptop.host.boxes.has(id)).toBe(true)
})

test('a name that is taken here is refused, and another one is taken', async () => {
  const { id } = await create('w')
  await until(desktop.plane.create({ name: 'w', provider: 'hetzner', wait: 'running' }))
  await expect(until(desktop.plane.adopt(id, {}))).rejects.toMatchObject({ code: 'name_in_use' })
  expect(cloud.homes.get(id)).toBe('laptop')
  expect(await until(desktop.plane.adopt(id, { name: 'v' }))).toMatchObject({ id, name: 'v' })
})

test('two of one name have to be told apart by their ids', async () => {
  await create('w')
  const third = createWorld({}, laptop)
  await start(third, 'third')
  const { id } = await until(third.plane.create({ name: 'w', provider: 'hetzner', wait: 'running' }))
  await expect(until(desktop.plane.adopt('w', {}))).rejects.toMatchObject({ code: 'invalid_request' })
  expect(await until(desktop.plane.adopt(id, {}))).toMatchObject({ id, name: 'w' })
  await third.close()
})

test('one whose lease is over needs another', async () => {
  const { id } = await create('w')
  await until(laptop.plane.stop())
  await laptop.clock.advance(3 * hour)
  await expect(until(desktop.plane.adopt('w', {}))).rejects.toMatchObject({ code: 'lease_out_of_range' })
  const box = await until(desktop.plane.adopt('w', { ttl: '1h' }))
  expect(Date.parse(box.lease.expiresAt ?? '')).toBe(laptop.clock.now() + hour)
  expect(cloud.deadlines.get(id)).toBe(Math.ceil((laptop.clock.now() + hour) / 1000))
})

test('one that was not to be destroyed at its end is stopped at the end of a usual lease', async () => {
  await create('w', { onExpire: 'stop' })
  const { lease } = await until(desktop.plane.adopt('w', {}))
  expect(lease).toMatchObject({ onExpire: 'stop', ttlSeconds: 3600 })
})

test('a token that may not write leaves the box where it is; a lost answer loses nothing', async () => {
  const { id } = await create('w')
  cloud.adoptFailures.push({ error: new GibilError('cloud_unauthorized', 'read only'), done: false })
  await expect(until(desktop.plane.adopt('w', {}))).rejects.toMatchObject({ code: 'cloud_unauthorized' })
  expect(await desktop.plane.list()).toEqual([])
  cloud.adoptFailures.push({ error: new GibilError('cloud_unreachable', 'no answer'), done: true })
  await expect(until(desktop.plane.adopt('w', {}))).rejects.toMatchObject({ code: 'cloud_unreachable' })
  await start(desktop, 'desktop')
  await laptop.clock.advance(2 * minute)
  expect(await desktop.plane.get('w')).toMatchObject({ id, status: 'running' })
})

test('boxes of this machine are nobody else’s', async () => {
  await expect(desktop.plane.adoptable('local')).rejects.toMatchObject({ code: 'unsupported_by_shape' })
  await expect(until(desktop.plane.adopt('nothing', {}))).rejects.toMatchObject({ code: 'box_not_found' })
})
