import { GibilError, type MoveBox } from '@gibil/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { full } from '../../../../test/support/full-form.ts'
import { createControlPlane } from '../index.ts'
import { createCrash } from './crash.ts'
import { createPlaces, type PlaceName, type Places } from './places.ts'
import { createWorld, type World } from './world.ts'

const file = '/home/agent/work'
const make = { name: 'w', env: { A: '1' }, memoryMib: 1024, diskMib: 4096 }
const nowhere: MoveBox = { shape: 'microvm' }

let world: World
let places: Places
let id: string

/** A world with a box that has done some work, in a place. */
async function begin(shape: 'container' | 'microvm' | 'vm' = 'container', step?: (name: string) => void) {
  world = createWorld({ startAttempts: 5 })
  places = createPlaces(world)
  await world.restart({ ...places.deps(), ...(step ? { step } : {}) })
  const box = await world.clock.until(world.plane.create({ ...make, shape }))
  id = box.id
  places.hosts[shape].boxes.get(id)?.disk.set(file, 'done')
}
const move = (to: MoveBox) => world.clock.until(world.plane.move('w', to))

/** There is one box, whole and running, and nothing of it anywhere else. */
async function check(where: string): Promise<PlaceName> {
  const records = await world.store.listBoxes()
  expect(records, where).toMatchObject([{ id, name: 'w', status: 'running', desired: 'running', env: { A: '1' } }])
  expect(records[0]?.moving ?? null, `${where}: nothing is left to clear`).toBeNull()
  const { shape, provider } = records[0] ?? {}
  const place = provider === 'hetzner' ? 'hetzner' : (shape ?? 'container')
  expect(places.of(id), `${where}: it is in one place, which is that of its record`).toEqual([place])
  const there = places.hosts[place].boxes.get(id)
  expect(there?.status, where).toBe('running')
  expect(there?.disk.get(file), `${where}: its files are there`).toBe('done')
  expect(there?.configured.env, `${where}: boxd has its defaults`).toMatchObject({ A: '1' })
  for (const host of Object.values(places.hosts)) expect(host.violations, where).toEqual([])
  return place
}

afterEach(async () => {
  if (world.plane) await world.close()
})

describe('a move', () => {
  test.each<[PlaceName, MoveBox, PlaceName]>([
    ['container', { shape: 'microvm' }, 'microvm'],
    ['container', { shape: 'vm' }, 'vm'],
    ['container', { provider: 'hetzner' }, 'hetzner'],
    ['microvm', { shape: 'container' }, 'container'],
    ['vm', { shape: 'microvm' }, 'microvm'],
    ['vm', { provider: 'hetzner' }, 'hetzner'],
  ])('of a %s to %j carries its files', async (from, to, place) => {
    if (from === 'hetzner') throw new Error('not begun there')
    await begin(from)
    const moved = await move(to)
    expect(moved).toMatchObject({ box: { id, status: 'running' }, changed: [] })
    expect(await check('moved')).toBe(place)
    expect(places.still).toBe(0)
    // And on from there.
    if (place !== 'container') await move({ shape: 'container', provider: 'local' })
    expect(await check('back')).toBe('container')
  })

  test('to managed lays them over a workstation, in a size that fits this machine; a vm stays what it is', async () => {
    await begin()
    world.freeDiskMib = 100_000
    expect((await move({ shape: 'managed' })).box).toMatchObject({
      shape: 'vm',
      image: 'workstation',
      size: { cpu: 2, memoryMib: 2048, diskMib: 30_720 },
    })
    expect(await check('moved')).toBe('vm')
    await expect(move({ shape: 'managed' })).rejects.toMatchObject({
      code: 'unsupported_by_shape',
      message: expect.stringContaining('is a vm already'),
    })
  })

  test('says which files never held still', async () => {
    await begin()
    places.changed = ['/var/db']
    expect(await move(nowhere)).toMatchObject({
      changed: ['/var/db'],
      notes: [expect.stringContaining('Processes'), expect.stringContaining('1 files changed')],
    })
  })
})

describe('a move that cannot be', () => {
  beforeEach(() => begin())
  afterEach(async () => {
    expect(await check('as it was')).toBe('container')
    expect(places.still).toBe(0)
  })

  test('since the target is too small for what is in it', async () => {
    places.survey = { bytes: 3.5 * 1024 ** 3 }
    await expect(move(nowhere)).rejects.toMatchObject({ code: 'invalid_size', hint: expect.stringContaining('--disk') })
    await expect(move({ shape: 'vm' })).rejects.toMatchObject({ code: 'invalid_size' })
  })

  test('since there is no room for a larger one', async () => {
    await expect(move({ shape: 'vm', size: 'large' })).rejects.toMatchObject({ code: 'size_beyond_host' })
  })

  test('since a cloud is sold out, before or while its machine is made', async () => {
    places.soldOut = true
    await expect(move({ provider: 'hetzner' })).rejects.toMatchObject({ code: 'cloud_sold_out' })
    places.soldOut = false
    const { hetzner } = places.hosts
    Object.assign(hetzner.boxes, {
      set: () => {
        throw new GibilError('cloud_sold_out', 'Gone meanwhile.')
      },
    })
    await expect(move({ provider: 'hetzner' })).rejects.toMatchObject({ code: 'cloud_sold_out' })
    Reflect.deleteProperty(hetzner.boxes, 'set')
  })

  test('since it is of that kind already, or does not run', async () => {
    await expect(move({ shape: 'container' })).rejects.toMatchObject({ code: 'invalid_request' })
    await world.clock.until(world.plane.stopBox('w'))
    await expect(move(nowhere)).rejects.toMatchObject({ code: 'wrong_state' })
    await world.clock.until(world.plane.startBox('w'))
  })
})

test('ids that a container has not keep a vm from becoming one', async () => {
  await begin('vm')
  places.survey = { maxId: 70_000, maxIdPath: '/srv/theirs' }
  await expect(move({ shape: 'container' })).rejects.toMatchObject({
    code: 'unsupported_by_shape',
    message: expect.stringContaining('/srv/theirs'),
  })
  expect(await check('as it was')).toBe('vm')
})

test('a box that is destroyed while it moves is nowhere', async () => {
  await begin()
  const held = Promise.withResolvers<void>()
  const driver = places.drivers.get('microvm')
  if (driver) driver.hold = () => held.promise
  const moving = world.plane.move('w', nowhere)
  moving.catch(() => undefined)
  await world.clock.settle()
  expect(places.of(id)).toEqual(['container', 'microvm'])
  const gone = world.plane.destroy('w')
  await world.clock.settle()
  held.resolve()
  await world.clock.until(gone)
  await expect(world.clock.until(moving)).rejects.toThrow()
  expect(places.of(id)).toEqual([])
  expect(await world.store.listBoxes()).toEqual([])
})

/** Steps that a move names, and where the box is when one fails: before its record changes it is as it was. */
const steps = ['noted', 'still', 'copied', 'made', 'answers', 'became'] as const

describe.each<MoveBox>([{ shape: 'microvm' }, { shape: 'vm' }, { provider: 'hetzner' }])('a move to %j', (to) => {
  const target: PlaceName = to.provider === 'hetzner' ? 'hetzner' : to.shape === 'vm' ? 'vm' : 'microvm'

  test.each(steps)('that fails when it has %s leaves one box', async (failing) => {
    const passed: string[] = []
    await begin('container', (name) => {
      passed.push(name)
      if (name === `move.${failing}`) throw new GibilError('driver_failed', 'No more.')
    })
    await expect(move(to)).rejects.toMatchObject({ message: 'No more.' })
    expect(passed).toContain(`move.${failing}`)
    expect(await check(failing)).toBe(failing === 'became' ? target : 'container')
    expect(places.still).toBe(0)
  })

  test('whose daemon is killed leaves one box, and it can be moved and destroyed', async () => {
    const ends = new Set<PlaceName>()
    for (let at = 1; ; at += full ? 1 : 3) {
      await begin()
      await world.clock.until(world.plane.stop())
      const crash = createCrash({ ...world.deps(), ...places.deps() }, at)
      const plane = createControlPlane(crash.deps)
      const story = (async () => {
        await plane.start()
        await plane.move('w', to)
      })()
      let over = false
      story.then(
        () => {
          over = true
        },
        () => {
          over = true
        },
      )
      for (let count = 0; count < 50 && !over && !crash.dead(); count += 1) await world.clock.advance(200)
      await world.clock.settle()
      crash.disarm()
      if (!crash.dead()) await world.clock.until(plane.stop())
      const lived = !crash.dead()

      await world.restart(places.deps())
      await world.clock.advance(60_000)
      const where = lived ? 'lived' : `died at place ${at}, ${crash.where()}`
      const place = await check(where)
      ends.add(place)
      if (place === 'container') await move(to)
      expect(await check(`${where}, then moved`)).toBe(target)
      await world.clock.until(world.plane.destroy('w'))
      expect(places.of(id), where).toEqual([])
      if (lived) break
      await world.close()
    }
    expect([...ends].sort()).toEqual(['container', target].sort())
  }, 120_000)
})
