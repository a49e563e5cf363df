import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startWorld, type World } from './world.ts'

let world: World
beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.close())

type Input = Parameters<World['plane']['create']>[0]
const create = (input: Input = {}) => world.clock.until(world.plane.create({ name: 'w', ...input }))
const exists = () => world.host.boxes.size > 0
const events = async (type: string) => (await world.store.listEvents(0, 1000)).filter((event) => event.type === type)
const seconds = 1000
const minutes = 60 * seconds

describe('the TTL', () => {
  test('ends the box within a second of its end, and not before', async () => {
    await create({ ttl: '10m' })
    await world.clock.advance(10 * minutes - 10)
    expect(exists()).toBe(true)
    await world.clock.advance(1 * seconds)
    expect(exists()).toBe(false)
    expect(await world.plane.list()).toEqual([])
    expect(await events('box.expired')).toMatchObject([{ data: { reason: 'ttl', action: 'destroy' } }])
  })

  test('warns once before: a tenth of a short one, five minutes of a long one', async () => {
    await create({ ttl: '10m' })
    await world.clock.advance(9 * minutes - 10)
    expect(await events('box.expiring')).toHaveLength(0)
    await world.clock.advance(20)
    expect(await events('box.expiring')).toHaveLength(1)
    await world.clock.advance(30 * seconds)
    expect(await events('box.expiring')).toHaveLength(1)
    await world.plane.extend('w', '5h')
    await world.clock.advance(4 * 60 * minutes + 55 * minutes + 10)
    expect(await events('box.expiring')).toHaveLength(2)
  })

  test('extend counts from now and is checked', async () => {
    await create({ ttl: '10m' })
    await world.clock.advance(9 * minutes)
    const box = await world.plane.extend('w', '20m')
    expect(Date.parse(box.lease.expiresAt ?? '')).toBe(world.clock.now() + 20 * minutes)
    await world.clock.advance(19 * minutes)
    expect(exists()).toBe(true)
    await world.clock.advance(61 * seconds)
    expect(exists()).toBe(false)
  })

  test('none lives on until extend gives it an end', async () => {
    await create({ ttl: 'none' })
    await world.clock.advance(24 * 60 * minutes)
    expect(exists()).toBe(true)
    await world.plane.extend('w', '1d')
    await world.clock.advance(23 * 60 * minutes)
    expect(exists()).toBe(true)
    await world.clock.advance(60 * minutes + seconds)
    expect(exists()).toBe(false)
  })

  test('can stop or pause instead, and a start begins a new one', async () => {
    for (const [onExpire, status] of [
      ['stop', 'stopped'],
      ['pause', 'paused'],
    ] as const) {
      await create({ ttl: '10m', onExpire })
      await world.clock.advance(10 * minutes + seconds)
      expect(await world.plane.get('w')).toMatchObject({ status, lease: { expiresAt: null } })
      await world.clock.advance(60 * minutes)
      expect(await world.plane.get('w')).toMatchObject({ status })
      const box = status === 'stopped' ? await world.plane.startBox('w') : await world.plane.resume('w')
      expect(Date.parse(box.lease.expiresAt ?? '')).toBe(world.clock.now() + 10 * minutes)
      await world.plane.destroy('w')
    }
  })

  test('ends a stopped box, too', async () => {
    await create({ ttl: '10m' })
    await world.plane.stopBox('w')
    await world.clock.advance(10 * minutes + seconds)
    expect(exists()).toBe(false)
  })

  test('ends a box whose set-up hangs, and who waits is told', async () => {
    world.host.repos.set('https://h.example/r', { '.gibil.yml': 'tasks: [forever]' })
    world.command(/forever/, 'hangs')
    const creating = world.plane.create({ ttl: '1m', repo: { url: 'https://h.example/r' } })
    await expect(world.clock.until(creating)).rejects.toMatchObject({ code: 'wrong_state' })
    expect(exists()).toBe(false)
  })

  test('of a box whose destroy fails is tried until nothing is left', async () => {
    await create({ ttl: '10m' })
    world.driver.failures.set('destroy', [new Error('busy'), new Error('busy'), new Error('busy')])
    await world.clock.advance(10 * minutes + 30 * seconds)
    expect(exists()).toBe(false)
    expect(await world.plane.list()).toEqual([])
  })
})

describe('the idle limit', () => {
  test('ends a box that nobody uses', async () => {
    await create({ idle: '5m', onIdle: 'destroy' })
    await world.clock.advance(5 * minutes - 10)
    expect(exists()).toBe(true)
    await world.clock.advance(1 * seconds)
    expect(exists()).toBe(false)
    expect(await events('box.expired')).toMatchObject([{ data: { reason: 'idle' } }])
  })

  test('counts from the end of the last connection', async () => {
    await create({ idle: '5m', onIdle: 'destroy' })
    const { stream } = await world.plane.connect('w')
    await world.clock.advance(20 * minutes)
    expect(exists()).toBe(true)
    stream.destroy()
    await world.clock.advance(5 * minutes - 10)
    expect(exists()).toBe(true)
    await world.clock.advance(1 * seconds)
    expect(exists()).toBe(false)
  })

  test('is not held up by one who only looks', async () => {
    await create({ idle: '5m', onIdle: 'destroy' })
    await world.plane.connect('w', undefined, { quiet: true })
    await world.clock.advance(5 * minutes + seconds)
    expect(exists()).toBe(false)
  })

  test('counts from the end of a command that runs on its own, but not from a service', async () => {
    world.host.repos.set('https://h.example/r', { '.gibil.yml': 'services: { s: serve }' })
    world.command(/serve/, 'hangs')
    world.command(/build/, 'hangs')
    const { id } = await create({ idle: '5m', onIdle: 'destroy', repo: { url: 'https://h.example/r' } })
    const { stream } = await world.plane.connect('w')
    const boxd = world
      .deps()
      .connectBoxd(async () => (await world.plane.connect('w', undefined, { quiet: true })).stream)
    await boxd.startJob({ argv: ['build'] })
    stream.destroy()
    await world.clock.advance(30 * minutes)
    expect(exists()).toBe(true)
    const job = [...world.box(id).jobs.values()].find(({ job: { argv } }) => argv[0] === 'build')
    job?.ended.resolve({ exitCode: 0, signal: null, timedOut: false, durationMs: 0 })
    const ended = world.clock.now()
    await world.clock.settle()
    while (exists()) await world.clock.advance(100)
    expect(world.clock.now() - ended).toBeGreaterThanOrEqual(5 * minutes)
    expect(world.clock.now() - ended).toBeLessThanOrEqual(5 * minutes + seconds)
  })

  test('does not count while stopped or paused', async () => {
    await create({ idle: '5m', ttl: 'none' })
    await world.plane.pause('w')
    await world.clock.advance(60 * minutes)
    expect(await world.plane.get('w')).toMatchObject({ status: 'paused' })
  })
})

describe('beforeExpire', () => {
  const repo = { url: 'https://h.example/r' }

  test('is begun its timeout before the end, and the end is on time though it hangs', async () => {
    world.host.repos.set(repo.url, { '.gibil.yml': 'hooks: { beforeExpire: { run: save, timeout: 1m } }' })
    world.command(/save/, 'hangs')
    await create({ ttl: '30m', repo })
    await world.clock.advance(29 * minutes - 10)
    expect(world.host.ran.some(({ line }) => line.includes('save'))).toBe(false)
    await world.clock.advance(20)
    expect(world.host.ran.filter(({ line }) => line.includes('save'))).toHaveLength(1)
    await world.clock.advance(1 * minutes - 20)
    expect(exists()).toBe(true)
    await world.clock.advance(1 * seconds)
    expect(exists()).toBe(false)
    expect(world.host.ran.filter(({ line }) => line.includes('save'))).toHaveLength(1)
  })

  test('runs again for a lease that was extended', async () => {
    world.host.repos.set(repo.url, { '.gibil.yml': 'hooks: { beforeExpire: save }' })
    await create({ ttl: '30m', repo })
    await world.clock.advance(29 * minutes + 45 * seconds)
    await world.plane.extend('w', '30m')
    await world.clock.advance(30 * minutes + seconds)
    expect(world.host.ran.filter(({ line }) => line.includes('save'))).toHaveLength(2)
    expect(exists()).toBe(false)
  })
})

describe('across restarts', () => {
  test('what ended while no daemon ran is ended at once, and not started first', async () => {
    const { id } = await create({ ttl: '10m' })
    await world.clock.until(world.plane.stop())
    world.box(id).status = 'stopped'
    await world.clock.advance(20 * minutes)
    const { starts } = world.box(id)
    let started = false
    const plane = world.restart()
    world.driver.hold = async (method) => {
      started ||= method === 'start'
    }
    await plane
    await world.clock.settle()
    expect(exists()).toBe(false)
    expect([started, starts]).toEqual([false, 1])
  })

  test('the idle limit goes on from the last use', async () => {
    await create({ idle: '5m', onIdle: 'destroy' })
    const { stream } = await world.plane.connect('w')
    await world.clock.advance(10 * minutes)
    stream.destroy()
    await world.clock.advance(2 * minutes)
    await world.clock.until(world.plane.stop())
    await world.restart()
    await world.clock.advance(3 * minutes - 2 * seconds)
    expect(exists()).toBe(true)
    await world.clock.advance(3 * seconds)
    expect(exists()).toBe(false)
  })
})
