import { type CreateBox, GibilError, type Progress } from '@gibil/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createFakeCloud, type FakeCloud } from './fake-cloud.ts'
import { createWorld, type World } from './world.ts'

const hour = 3_600_000

let world: World
let cloud: FakeCloud

beforeEach(async () => {
  world = createWorld()
  cloud = createFakeCloud(world.host, world.clock)
  await start()
})
afterEach(async () => {
  await world.close()
  expect(world.host.violations).toEqual([])
})

const start = (policy: World['policy'] = {}) => {
  const deps = world.deps()
  return world.restart({
    drivers: [...deps.drivers, cloud.driver()],
    policy: { ...deps.policy, reconcileEveryMs: 100 * hour, ...policy },
  })
}
const create = (input: CreateBox = {}) =>
  world.clock.until(world.plane.create({ name: 'w', provider: 'hetzner', ttl: '2h', wait: 'running', ...input }))

describe('a box of a cloud', () => {
  test('is a vm of the image vm, and its driver is told what was asked and until when it lives', async () => {
    const wish = { serverType: 'cx33', location: 'nbg1', arch: 'x86', maxHourly: '0.05' } as const
    const box = await create({ cloud: wish, cloudInit: '#cloud-config\n' })
    expect(box).toMatchObject({ shape: 'vm', provider: 'hetzner', image: 'vm' })
    expect(box.cloud).toMatchObject({ serverType: 'cx23', location: 'fsn1', price: { hourly: '0.01' } })
    expect(cloud.specs).toEqual([
      expect.objectContaining({ name: 'w', owner: null, cloud: wish, cloudInit: '#cloud-config\n' }),
    ])
    expect(cloud.specs[0]?.deadline).toBe(Math.ceil(Date.parse(box.lease.expiresAt ?? '') / 1000))
  })

  test('can be made as soon as its driver has what it lacked', async () => {
    const driver = cloud.driver()
    const lacks = [1, 2].map(() => new GibilError('cloud_unauthorized', 'no token'))
    const open = async () => {
      const lack = lacks.shift()
      if (lack) throw lack
      await driver.open()
    }
    const deps = world.deps()
    await world.restart({ drivers: [...deps.drivers, { ...driver, open }], policy: deps.policy ?? {} })
    await expect(create()).rejects.toMatchObject({ code: 'cloud_unauthorized' })
    expect(await create()).toMatchObject({ status: 'running' })
  })

  test('is heard while its machine boots', async () => {
    const heard: string[] = []
    const onProgress = ({ phase, message }: Progress): void => void heard.push(`${phase}: ${message}`)
    await world.clock.until(world.plane.create({ provider: 'hetzner', wait: 'running' }, { onProgress }))
    expect(heard).toContain('boot: Cloud-init v. 22.4.2 running')
    expect(heard).toContain('boot: open to all')
  })

  test.each([
    [{ provider: 'local' as const, cloud: { serverType: 'cx33' } }, 'invalid_request'],
    [{ shape: 'container' as const }, 'unsupported_by_shape'],
    [{ provider: 'local' as const, cloudInit: '#!' }, 'unsupported_by_shape'],
    [{ ttl: '14m' }, 'lease_out_of_range'],
    [{ ttl: 'none' }, 'lease_out_of_range'],
  ])('is refused with what fits none: %j', async (input, code) => {
    await expect(create(input)).rejects.toMatchObject({ code })
    expect(await world.plane.list()).toEqual([])
  })

  test('costs from its first hour on, also when it is gone, and after the daemon came back', async () => {
    const { id } = await create()
    expect((await world.plane.get('w')).cost).toEqual({
      currency: 'EUR',
      hourly: '0.011',
      soFar: '0.011',
      billed: true,
    })
    await world.clock.advance(hour + 1000)
    await start()
    expect((await world.plane.get('w')).cost).toMatchObject({ soFar: '0.022' })
    const gone = await world.clock.until(world.plane.destroy('w'))
    expect(gone.cost).toMatchObject({ soFar: '0.022', billed: false })
    const [sheet] = (await world.plane.cost()).currencies
    expect(sheet).toMatchObject({ currency: 'EUR', hourly: '0.00', total: '0.022' })
    expect(sheet?.boxes).toEqual([expect.objectContaining({ id, name: 'w', exists: false, soFar: '0.022' })])
    expect((await world.plane.cost({ owner: 'ci' })).currencies).toEqual([])
  })

  test('of this machine costs nothing', async () => {
    const box = await create({ provider: 'local' })
    expect(box).toMatchObject({ cloud: null, cost: null })
    expect((await world.plane.cost()).currencies).toEqual([])
  })

  test('is ended elsewhere no sooner than its lease: what it is extended by is told, again until it is heard', async () => {
    const { id } = await create()
    const first = cloud.deadlines.get(id)
    const longer = await world.clock.until(world.plane.extend('w', '10h'))
    expect(longer.lease.deadlineAtProvider).toBe('same')
    expect(cloud.deadlines.get(id)).toBe((first ?? 0) + 8 * 3600)

    cloud.refusals.push(new Error('429'))
    const again = await world.clock.until(world.plane.extend('w', '20h'))
    expect(again.lease.deadlineAtProvider).toBe('pending')
    expect(cloud.deadlines.get(id)).toBe((first ?? 0) + 8 * 3600)
    await start({ reconcileEveryMs: 1000 })
    await world.clock.advance(2000)
    expect(cloud.deadlines.get(id)).toBe((first ?? 0) + 18 * 3600)
    expect((await world.plane.get('w')).lease.deadlineAtProvider).toBe('same')
  })

  test('is billed while it is off, unless it was stopped as a snapshot', async () => {
    const { id } = await create()
    const off = await world.clock.until(world.plane.stopBox('w'))
    expect(off).toMatchObject({ status: 'stopped', cost: { billed: true } })
    await world.clock.until(world.plane.startBox('w'))
    const kept = await world.clock.until(world.plane.stopBox('w', { snapshot: true }))
    expect(kept).toMatchObject({ status: 'stopped', cost: { billed: false, soFar: '0.011' } })
    expect(cloud.stops).toEqual([
      { id, snapshot: false },
      { id, snapshot: true },
    ])
    await world.clock.until(world.plane.startBox('w'))
    await world.clock.until(world.plane.stopBox('w'))
    // One that is off already is given back too.
    expect(await world.clock.until(world.plane.stopBox('w', { snapshot: true }))).toMatchObject({
      cost: { billed: false },
    })
    expect((await world.plane.get('w')).cost?.soFar).toBe('0.022')
  })

  test('is not billed any more once its lease has stopped it, also when it was off before, and nobody else destroys it', async () => {
    const { id } = await create({ onExpire: 'stop' })
    expect(cloud.deadlines.get(id)).toBeNull()
    await world.clock.advance(2 * hour + 5000)
    const box = await world.plane.get('w')
    expect(box).toMatchObject({ status: 'stopped', cost: { billed: false } })
    await create({ name: 'off', onExpire: 'stop' })
    await world.clock.until(world.plane.stopBox('off'))
    expect((await world.plane.get('off')).cost?.billed).toBe(true)
    await world.clock.advance(2 * hour + 5000)
    expect(await world.plane.get('off')).toMatchObject({ status: 'stopped', cost: { billed: false } })
  })

  test('can be stopped as a snapshot only there', async () => {
    await create({ provider: 'local' })
    await expect(world.plane.stopBox('w', { snapshot: true })).rejects.toMatchObject({ code: 'unsupported_by_shape' })
  })
})
