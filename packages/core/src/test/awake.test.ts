import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startWorld, type World } from './world.ts'

let world: World
beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.close())

type Input = Parameters<World['plane']['create']>[0]
const create = (input: Input = {}) =>
  world.clock.until(world.plane.create({ name: 'w', idle: '10m', ttl: '2h', ...input }))
const get = () => world.plane.get('w')
const expired = async () =>
  (await world.store.listEvents(0, 1000)).flatMap(({ type, data }) => (type === 'box.expired' ? [data] : []))
const seconds = 1000
const minutes = 60 * seconds

/** Lets time pass in which the box takes a share of one processor. */
async function work(id: string, ms: number, share: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += seconds) {
    world.box(id).cpuMs += seconds * share
    await world.clock.advance(seconds)
  }
}

describe('an idle box', () => {
  test('sleeps, wakes when it is used, and is destroyed by its TTL all the same', async () => {
    await create()
    await world.clock.advance(10 * minutes + seconds)
    expect(await get()).toMatchObject({
      status: 'paused',
      awake: null,
      lease: { onIdle: 'pause', onExpire: 'destroy' },
    })
    expect(await expired()).toMatchObject([{ reason: 'idle', action: 'pause' }])
    const { box, stream } = await world.clock.until(world.plane.connect('w'))
    expect(box).toMatchObject({ status: 'running', awake: { because: ['connection'] } })
    stream.destroy()
    await world.clock.advance(10 * minutes + seconds)
    expect(await get()).toMatchObject({ status: 'paused' })
    await world.clock.advance(100 * minutes)
    expect(await world.plane.list()).toEqual([])
  })

  test.each([
    ['stop', 'stopped'],
    ['pause', 'paused'],
  ] as const)('does what was asked for: %s', async (onIdle, status) => {
    await create({ onIdle, onExpire: 'stop' })
    await world.clock.advance(10 * minutes + seconds)
    expect(await get()).toMatchObject({ status })
  })

  test('does what its .gibil.yml says, unless the caller said something else', async () => {
    world.host.repos.set('https://h.example/r', { '.gibil.yml': 'onIdle: stop' })
    const repo = { url: 'https://h.example/r' }
    await create({ repo })
    expect(await get()).toMatchObject({ lease: { onIdle: 'stop', onExpire: 'destroy' } })
    await create({ name: 'v', repo, onIdle: 'destroy' })
    expect(await world.plane.get('v')).toMatchObject({ lease: { onIdle: 'destroy' } })
  })

  test('made by an older version ends as its lease does', async () => {
    const { id } = await create({ onExpire: 'stop' })
    const record = await world.store.getBox(id)
    if (!record) throw new Error('no record')
    const { onIdle: _, ...older } = record
    await world.store.saveBox(older)
    expect(await get()).toMatchObject({ lease: { onIdle: 'stop' } })
    await world.clock.advance(10 * minutes + seconds)
    expect(await get()).toMatchObject({ status: 'stopped' })
  })

  test('has no beforeExpire run when it only sleeps', async () => {
    world.host.repos.set('https://h.example/r', { '.gibil.yml': 'hooks: { beforeExpire: save }' })
    await create({ repo: { url: 'https://h.example/r' } })
    await world.clock.advance(10 * minutes + seconds)
    expect(await get()).toMatchObject({ status: 'paused' })
    expect(world.host.ran.filter(({ line }) => line.includes('save'))).toEqual([])
  })

  test('says when it will sleep', async () => {
    await create()
    const from = world.clock.now()
    await world.clock.advance(3 * minutes)
    const { awake } = await get()
    expect(awake).toMatchObject({ because: [], since: null })
    expect(Date.parse(awake?.idleEndsAt ?? '') - from).toBeLessThanOrEqual(10 * minutes)
    expect(Date.parse(awake?.idleEndsAt ?? '') - from).toBeGreaterThan(10 * minutes - 2 * seconds)
  })
})

describe('a box that works without a command or connection', () => {
  test('is awake as long as it works, and for its limit after that', async () => {
    const { id } = await create()
    await work(id, 30 * minutes, 0.5)
    const { status, awake } = await get()
    expect(status).toBe('running')
    expect(awake).toMatchObject({ because: ['cpu'], idleEndsAt: null })
    expect(world.clock.now() - Date.parse(awake?.since ?? '')).toBeGreaterThan(28 * minutes)
    await work(id, 9 * minutes, 0)
    expect(await get()).toMatchObject({ status: 'running', awake: { because: [] } })
    await work(id, 2 * minutes, 0)
    expect(await get()).toMatchObject({ status: 'paused' })
  })

  test('is idle with the little that a machine takes at rest', async () => {
    const { id } = await create()
    await work(id, 10 * minutes + 2 * seconds, 0.03)
    expect(await get()).toMatchObject({ status: 'paused' })
  })

  test('is not taken for awake by what its commands took before', async () => {
    const { id } = await create()
    const { stream } = await world.plane.connect('w')
    await work(id, 20 * minutes, 1)
    stream.destroy()
    await world.clock.advance(10 * minutes + seconds)
    expect(await get()).toMatchObject({ status: 'paused' })
  })

  test('ends by its commands and connections alone where the driver cannot tell', async () => {
    const { id } = await create()
    Object.defineProperty(world.driver, 'cpuMs', { value: undefined })
    await work(id, 10 * minutes + 2 * seconds, 1)
    expect(await get()).toMatchObject({ status: 'paused' })
  })
})

test('a command keeps a box awake, and says so for as long as it runs', async () => {
  world.command(/build/, 'hangs')
  await create()
  const dial = async () => (await world.plane.connect('w', undefined, { quiet: true })).stream
  await world
    .deps()
    .connectBoxd(dial)
    .startJob({ argv: ['build'] })
  await world.clock.advance(25 * minutes)
  const { awake } = await get()
  expect(awake).toMatchObject({ because: ['command'], idleEndsAt: null })
  expect(world.clock.now() - Date.parse(awake?.since ?? '')).toBeGreaterThan(23 * minutes)
})
