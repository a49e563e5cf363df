import type { CreateBox } from '@gibil/contract'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFakeCloud, type FakeCloud } from './fake-cloud.ts'
import { createWorld, type World } from './world.ts'

const hour = 3_600_000
let world: World
let cloud: FakeCloud

// A machine of the fake cloud costs 0.011 an hour; the day begins with the clock.
beforeEach(async () => {
  world = createWorld()
  cloud = createFakeCloud(world.host, world.clock)
  const deps = world.deps()
  await world.restart({
    drivers: [...deps.drivers, cloud.driver()],
    policy: { ...deps.policy, reconcileEveryMs: 100 * hour },
  })
})
afterEach(async () => {
  await world.close()
  expect(world.host.violations).toEqual([])
})

const create = (input: CreateBox = {}) =>
  world.clock.until(world.plane.create({ provider: 'hetzner', ttl: '110m', wait: 'running', ...input }))
const daily = (amount: string | null) => world.plane.setBudget({ daily: amount, perBox: null })

test('a create that would pass the budget of a day is refused, and nothing is made; what is left is said', async () => {
  await daily('0.05')
  await create()
  expect((await world.plane.cost()).budget).toEqual({ daily: '0.05', perBox: null, planned: '0.022', left: '0.028' })
  await create()
  await expect(create()).rejects.toMatchObject({ code: 'over_budget', details: { taken: '0.044', asked: '0.022' } })
  expect(cloud.specs).toHaveLength(2)
  expect((await world.plane.list()).length).toBe(2)
  expect(await create({ provider: 'local' })).toMatchObject({ status: 'running' })
  await daily(null)
  expect(await create()).toMatchObject({ status: 'running' })
})

test('creates side by side cannot pass it together, and a fleet is one', async () => {
  await daily('0.05')
  const made = await Promise.allSettled([create(), create(), create(), create()])
  expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(2)
  await daily('0.10')
  const fleet = (count: number) =>
    world.clock.until(world.plane.createFleet({ count, provider: 'hetzner', ttl: '110m', wait: 'running' }))
  await expect(fleet(3)).rejects.toMatchObject({ code: 'over_budget' })
  expect((await fleet(2)).boxes).toHaveLength(2)
})

test('a box that is gone has spent what it has, and gives back the rest of its lease', async () => {
  await daily('0.05')
  await create({ name: 'w', ttl: '4h' }).catch(() => undefined)
  await create({ name: 'w', ttl: '200m' })
  await expect(create()).rejects.toMatchObject({ code: 'over_budget' })
  await world.clock.until(world.plane.destroy('w'))
  expect((await world.plane.cost()).budget).toMatchObject({ planned: '0.011', left: '0.039' })
  expect(await create()).toMatchObject({ status: 'running' })
})

test('an extension is refused likewise, by the budget or by what its caller said; less time never is', async () => {
  await create({ name: 'w', maxCost: '0.05' })
  await expect(world.clock.until(world.plane.extend('w', '5h'))).rejects.toMatchObject({
    code: 'over_budget',
    details: { budget: 'its --max-cost' },
  })
  expect((await world.plane.get('w')).lease.ttlSeconds).toBe(110 * 60)
  expect((await world.clock.until(world.plane.extend('w', '200m'))).lease.ttlSeconds).toBe(200 * 60)
  await daily('0.01')
  await expect(world.clock.until(world.plane.extend('w', '210m'))).rejects.toMatchObject({ code: 'over_budget' })
  expect((await world.clock.until(world.plane.extend('w', '20m'))).lease.ttlSeconds).toBe(20 * 60)
})

test('a box whose machine was given back is started only if another one is within the budget', async () => {
  await create({ name: 'w' })
  await world.clock.until(world.plane.stopBox('w', { snapshot: true }))
  await daily('0.02')
  await expect(world.clock.until(world.plane.startBox('w'))).rejects.toMatchObject({ code: 'over_budget' })
  await daily('0.05')
  expect(await world.clock.until(world.plane.startBox('w'))).toMatchObject({ status: 'running' })
})

test('no machine is taken that is dearer than what the budget allows', async () => {
  await create({ name: 'w', maxCost: '0.05' })
  expect(cloud.specs[0]?.cloud).toEqual({ maxHourly: '0.011' })
  await expect(create({ maxCost: '0.02' })).rejects.toMatchObject({ code: 'over_budget' })
  await expect(create({ provider: 'local', maxCost: '1' })).rejects.toMatchObject({ code: 'invalid_request' })
})
