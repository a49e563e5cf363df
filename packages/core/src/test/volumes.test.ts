import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFakeDriver } from './fake-driver.ts'
import { createHost } from './host.ts'
import { createWorld, type World } from './world.ts'

let world: World
beforeEach(async () => {
  world = createWorld()
  const containers = createFakeDriver(world.host, ['pause', 'snapshot', 'fork', 'volumes'])
  const microvms = createFakeDriver(createHost(), ['pause'], { provider: 'local', shape: 'microvm' })
  await world.restart({ drivers: [containers, microvms] })
})
afterEach(() => world.close())

const code = (expected: string) => expect.objectContaining({ code: expected })
const at = (path: string, volume = 'data') => [{ volume, path }]
const create = (input: Parameters<World['plane']['create']>[0] = {}, owner: string | null = null) =>
  world.clock.until(world.plane.create({ name: 'w', ...input }, { owner }))

test('a box has the volumes that it was made with, and so have its forks', async () => {
  const { id } = await world.plane.volumes.create({ name: 'data' })
  const box = await create({ volumes: at('/data') })
  expect(box.volumes).toEqual(at('/data'))
  expect(world.box(box.id).spec.volumes).toEqual([{ id, path: '/data' }])
  const snapshot = await world.clock.until(world.plane.snapshot('w', {}))
  const fork = async (input: object) => {
    const { boxes } = await world.clock.until(world.plane.fork({ from: snapshot.id, ...input }))
    return boxes[0]?.volumes
  }
  expect(await fork({})).toEqual(at('/data'))
  expect(await fork({ volumes: [] })).toEqual([])
  const { sizeMib, boxes } = await world.plane.volumes.get('data')
  expect(sizeMib).toBe(10_240)
  expect(boxes).toHaveLength(2)
  expect(boxes).toContain('w')
})

test('a volume stays while a box has it, whatever its status; afterwards a snapshot of such a box makes none', async () => {
  await world.plane.volumes.create({ name: 'data' })
  await create({ volumes: at('/data') })
  const snapshot = await world.clock.until(world.plane.snapshot('w', {}))
  await world.clock.until(world.plane.stopBox('w'))
  await expect(world.plane.volumes.remove('data')).rejects.toEqual(code('wrong_state'))
  await world.clock.until(world.plane.destroy('w'))
  await world.plane.volumes.remove('data')
  expect(await world.plane.volumes.list()).toEqual([])
  await expect(world.plane.volumes.get('data')).rejects.toEqual(code('volume_not_found'))
  await expect(world.clock.until(world.plane.fork({ from: snapshot.id }))).rejects.toEqual(code('volume_not_found'))
})

test('what no volume can be in, or at, is said before anything is made', async () => {
  await world.plane.volumes.create({ name: 'data' })
  await expect(create({ volumes: at('/data'), shape: 'microvm' })).rejects.toEqual(code('unsupported_by_shape'))
  await expect(create({ volumes: at('/data'), isolation: 'gvisor' })).rejects.toEqual(code('unsupported_by_shape'))
  await expect(create({ volumes: at('/data', 'none') })).rejects.toEqual(code('volume_not_found'))
  for (const path of ['data', '/', '/a/', '/a//b', '/a/../b', '/./a', '/usr', '/proc/x', '/dev/shm', '/run/gibil']) {
    await expect(create({ volumes: at(path) }), path).rejects.toEqual(code('invalid_path'))
  }
  for (const second of ['/a', '/a/b']) {
    await expect(create({ volumes: [...at('/a'), ...at(second)] })).rejects.toEqual(code('invalid_path'))
  }
  expect(await world.plane.list()).toEqual([])
  expect((await create({ volumes: [...at('/a'), ...at('/ab'), ...at('/usable')] })).volumes).toHaveLength(3)
  await expect(world.plane.move('w', { shape: 'microvm' })).rejects.toEqual(code('unsupported_by_shape'))
})

test('a token has volumes of its own, which count as its disk', async () => {
  await world.plane.tokens.create({ name: 'ci', maxDiskMib: 15_000 })
  const ci = world.plane.as('ci')
  const { id } = await world.plane.volumes.create({ name: 'data' })
  const own = await ci.volumes.create({ name: 'data', sizeMib: 6000 })
  expect(own.owner).toBe(null)
  await expect(ci.volumes.get(id)).rejects.toEqual(code('volume_not_found'))
  await expect(ci.volumes.create({ name: 'data' })).rejects.toEqual(code('name_in_use'))
  await expect(ci.volumes.create({ name: 'more', sizeMib: 9001 })).rejects.toEqual(code('limit_reached'))
  await expect(create({ diskMib: 9001 }, 'ci')).rejects.toEqual(code('limit_reached'))
  const box = await create({ diskMib: 9000, volumes: at('/data') }, 'ci')
  expect(world.box(box.id).spec.volumes).toEqual([{ id: own.id, path: '/data' }])
  expect((await world.plane.tokens.list())[0]?.used.diskMib).toBe(15_000)
  expect((await world.plane.volumes.list()).map(({ owner }) => owner)).toEqual([null, 'ci'])
  expect((await ci.volumes.list()).map((one) => one.id)).toEqual([own.id])
})
