import { afterEach, describe, expect, it } from 'vitest'
import { defaultPolicy, type PoolPolicy } from '../plane/deps.ts'
import { spareHostname } from '../pool/spare.ts'
import { startWorld, type World } from './world.ts'

let world: World
afterEach(async () => {
  const { violations } = world.host
  await world.close()
  expect(violations).toEqual([])
})

const start = async (change: Partial<PoolPolicy> = {}): Promise<World> => {
  world = await startWorld({ pool: { ...defaultPolicy.pool, most: 4, least: 2, ...change } })
  return world
}
const spares = () => [...world.host.boxes.values()].filter(({ spec }) => spec.hostname === spareHostname)
const spareIds = () => spares().map(({ spec }) => spec.id)
const filled = () => world.clock.advance(1000)
const create = (input: Parameters<World['plane']['create']>[0] = {}) => world.clock.until(world.plane.create(input))

describe('the pool', () => {
  it('makes boxes before anybody asks, and nobody sees them', async () => {
    await start()
    await filled()
    expect(spares()).toHaveLength(2)
    expect(await world.plane.list()).toEqual([])
    expect(world.plane.pool()).toEqual({ ready: 2, wanted: 2, hits: 0, misses: 0 })
  })

  it('hands one out under the name, network and environment that were asked for', async () => {
    await start()
    await filled()
    const ids = spareIds()
    const box = await create({ name: 'mine', network: 'none', env: { A: '1' }, labels: { l: 'x' }, user: 'root' })
    expect(ids).toContain(box.id)
    expect(box).toMatchObject({ name: 'mine', status: 'running', readiness: 'ready', network: 'none' })
    const made = world.box(box.id)
    expect(made.spec).toMatchObject({ hostname: 'mine', network: 'none', labels: { l: 'x' } })
    expect(made.starts).toBe(1)
    expect(made.configured).toMatchObject({ env: { A: '1', FROM_IMAGE: '1' }, user: 'root' })
    await filled()
    expect(spares()).toHaveLength(2)
    expect(spareIds()).not.toContain(box.id)
  })

  it('never hands one out twice, also to many at once; the rest are made as ever', async () => {
    await start()
    await filled()
    const boxes = await world.clock.until(Promise.all(Array.from({ length: 10 }, () => world.plane.create({}))))
    expect(new Set(boxes.map(({ id }) => id)).size).toBe(10)
    expect(boxes.every(({ status }) => status === 'running')).toBe(true)
    expect(world.plane.pool()).toMatchObject({ hits: 2, misses: 8 })
    await filled()
    // Ten were wanted at once, and four is the most.
    expect(spares()).toHaveLength(4)
    await world.clock.advance(defaultPolicy.pool.windowMs + 60_000)
    expect(spares()).toHaveLength(2)
  })

  it('makes none while creates are under way', async () => {
    await start()
    const held = Promise.withResolvers<void>()
    world.driver.hold = async (method) => (method === 'create' ? held.promise : undefined)
    const creating = world.plane.create({ name: 'slow' })
    await world.clock.advance(5000)
    expect(world.host.boxes.size).toBe(1)
    held.resolve()
    await world.clock.until(creating)
    await filled()
    expect(spares()).toHaveLength(2)
  })

  it('follows what is asked for, image and size apart', async () => {
    await start()
    await create({ image: 'other', memoryMib: 512 })
    await filled()
    const other = spares().find(({ spec }) => spec.image.name === 'other')
    expect(other?.spec.size.memoryMib).toBe(512)
    const cold = await create({ image: 'other' })
    expect(cold.id).not.toBe(other?.spec.id)
    const warm = await create({ image: 'other', memoryMib: 512 })
    expect(warm.id).toBe(other?.spec.id)
  })

  it('gives a spare back when the name is taken', async () => {
    await start()
    await create({ name: 'taken' })
    await filled()
    const before = spareIds()
    // Both pass the first check of the name, and one loses the race.
    const race = [world.plane.create({ name: 'twice' }), world.plane.create({ name: 'twice' })]
    const results = await world.clock.until(Promise.allSettled(race))
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1)
    const kept = spareIds()
    expect(kept).toHaveLength(1)
    expect(before).toContain(kept[0])
    expect((await create({})).id).toBe(kept[0])
  })

  it('makes the box anew when its spare cannot be used', async () => {
    await start()
    await filled()
    world.driver.failures.set('adapt', [new Error('it died')])
    const box = await create({ name: 'mine' })
    expect(box.status).toBe('running')
    expect(world.box(box.id).spec.hostname).toBe('mine')
  })

  it('replaces a spare that ended by itself', async () => {
    await start()
    await filled()
    const [first = ''] = spareIds()
    world.driver.kill(first, 'out of memory')
    await filled()
    expect(spareIds()).not.toContain(first)
    expect(spares()).toHaveLength(2)
    expect(spares().every(({ status }) => status === 'running')).toBe(true)
  })

  it('keeps none while memory is short', async () => {
    await start()
    await filled()
    world.freeMemoryMib = 100
    await world.clock.advance(defaultPolicy.pool.lookEveryMs * 2)
    expect(spares()).toEqual([])
    world.freeMemoryMib = 4096
    await world.clock.advance(defaultPolicy.pool.lookEveryMs * 2)
    expect(spares()).toHaveLength(2)
  })

  it('keeps none of an image whose name means another now', async () => {
    await start()
    await filled()
    const old = spareIds()
    const base = world.images.get('base')
    if (!base) throw new Error('no base')
    world.images.set('base', { ...base, digest: 'sha256:new' })
    // Before the pool has heard of it.
    const box = await create({})
    expect(old).not.toContain(box.id)
    await world.clock.until(world.plane.imageEvent('image.added', { name: 'base' }))
    await filled()
    expect(spares().map(({ spec }) => spec.image.digest)).toEqual(['sha256:new', 'sha256:new'])
    world.images.delete('base')
    await world.clock.until(world.plane.imageEvent('image.removed', { name: 'base' }))
    await filled()
    expect(spares()).toEqual([])
  })

  it('rests after a failure, and tries again', async () => {
    await start()
    world.driver.failures.set('create.late', [new Error('no'), new Error('no')])
    await filled()
    expect(spares()).toEqual([])
    await world.clock.advance(defaultPolicy.pool.retryMs * 4)
    expect(spares()).toHaveLength(2)
  })

  it('is no orphan to a sweep, and gone after a stop', async () => {
    await start()
    await filled()
    expect(await world.clock.until(world.plane.sweep())).toEqual([])
    expect(spares()).toHaveLength(2)
    await create({ name: 'stays' })
    await world.clock.until(world.plane.stop())
    expect([...world.host.boxes.values()].map(({ spec }) => spec.hostname)).toEqual(['stays'])
    await world.restart()
  })

  it('is swept by the next daemon when this one was killed', async () => {
    await start()
    await filled()
    const old = spareIds()
    await world.restart()
    expect(old.filter((id) => world.host.boxes.has(id))).toEqual([])
    await filled()
    expect(spares()).toHaveLength(2)
  })

  it('finishes a hand-out that a crash cut off', async () => {
    await start()
    await filled()
    world.driver.hold = async (method) => (method === 'adapt' ? new Promise(() => undefined) : undefined)
    void world.plane.create({ name: 'mine', network: 'none' }).catch(() => undefined)
    await world.clock.settle()
    await world.restart()
    const box = await world.plane.get('mine')
    expect(box.status).toBe('running')
    expect(world.box(box.id).spec).toMatchObject({ hostname: 'mine', network: 'none' })
  })

  it('makes none when it is off', async () => {
    await start({ most: 0 })
    await create({})
    await filled()
    expect(spares()).toEqual([])
    expect(world.plane.pool()).toEqual({ ready: 0, wanted: 0, hits: 0, misses: 0 })
  })
})
