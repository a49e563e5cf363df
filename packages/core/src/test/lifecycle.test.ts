import { GibilError, type Status } from '@gibil/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createWorld, startWorld, type World } from './world.ts'

let world: World
beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.close())

const create = (input: Parameters<World['plane']['create']>[0] = {}) => world.clock.until(world.plane.create(input))
const code = (expected: string) => expect.objectContaining({ code: expected })

describe('create', () => {
  test('makes a box that runs and is ready, with what was asked for', async () => {
    const box = await create({
      name: 'w',
      cpu: 1,
      memoryMib: 256,
      diskMib: 512,
      ttl: '90m',
      idle: '5m',
      env: { A: '1' },
      labels: { x: 'y' },
    })
    expect(box).toMatchObject({
      name: 'w',
      status: 'running',
      readiness: 'ready',
      shape: 'container',
      provider: 'local',
      image: 'base',
      size: { cpu: 1, memoryMib: 256, diskMib: 512 },
      envNames: ['A'],
      user: 'agent',
      address: '10.0.0.2',
      failure: null,
      lease: { ttlSeconds: 5400, idleSeconds: 300, onExpire: 'destroy' },
    })
    expect(box.id).toMatch(/^bx[a-z2-7]{12}$/)
    expect(Date.parse(box.lease.expiresAt ?? '') - Date.parse(box.createdAt)).toBe(90 * 60_000)
    expect(box.timings.map(({ phase }) => phase)).toEqual(['disk', 'create', 'boxd'])
    expect(world.box(box.id).configured).toEqual({ env: { FROM_IMAGE: '1', A: '1' }, user: 'agent', cwd: '~' })
    expect(await world.plane.get('w')).toEqual(box)
    expect(await world.plane.list()).toEqual([box])
  })

  test('makes up a name, and takes 60 minutes and small when nothing is said', async () => {
    const box = await create()
    expect(box.name).toMatch(/^[a-z]+-[a-z]+-[a-z2-7]{3}$/)
    expect(box.lease.ttlSeconds).toBe(3600)
    expect(box.size).toEqual({ cpu: 2, memoryMib: 4096, diskMib: 10_240 })
  })

  test.each([
    [{ name: 'Bad_Name' }, 'invalid_name'],
    [{ name: 'a'.repeat(64) }, 'invalid_name'],
    [{ name: 'bxaaaaaaaaaaaa' }, 'invalid_name'],
    [{ ttl: '0' }, 'invalid_duration'],
    [{ ttl: '-5m' }, 'invalid_duration'],
    [{ ttl: '13x' }, 'invalid_duration'],
    [{ ttl: '400d' }, 'lease_out_of_range'],
    [{ idle: '0.5s' }, 'lease_out_of_range'],
    [{ image: 'nope' }, 'image_not_found'],
    [{ cpu: 9999 }, 'invalid_size'],
    [{ shape: 'vm' as const }, 'unsupported_by_shape'],
    [{ shape: 'microvm' as const, cpu: 1 }, 'unsupported_by_shape'],
    [{ repo: { url: 'nonsense' } }, 'invalid_repo'],
    [{ repo: { url: 'git@github.com:you/project' } }, 'invalid_repo'],
    [{ repo: { url: './here' } }, 'invalid_repo'],
    [{ repo: { url: 'https://h.example/r', branch: '--upload-pack=x' } }, 'invalid_repo'],
    [{ repo: { url: 'https://h.example/r' }, network: 'none' as const }, 'invalid_request'],
  ])('refuses %o with %s and leaves nothing', async (input, expected) => {
    await expect(create(input)).rejects.toEqual(code(expected))
    expect(await world.plane.list()).toEqual([])
    expect(world.host.boxes.size).toBe(0)
  })

  test('of two creates of one name at once exactly one wins', async () => {
    const results = await world.clock.until(
      Promise.allSettled([world.plane.create({ name: 'w' }), world.plane.create({ name: 'w' })]),
    )
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'name_in_use' } })
    expect(world.host.boxes.size).toBe(1)
    expect(await world.plane.list()).toHaveLength(1)
  })

  test.each(['create', 'create.late', 'dial'])('failing at %s leaves nothing and says why', async (method) => {
    world.driver.failures.set(method, [new GibilError('disk_full', 'no room')])
    await expect(create({ name: 'w' })).rejects.toEqual(code('disk_full'))
    expect(await world.plane.list()).toEqual([])
    expect(world.host.boxes.size).toBe(0)
    expect(await create({ name: 'w' })).toMatchObject({ status: 'running' })
  })

  test('a boxd that does not answer at once is waited for', async () => {
    world.driver.failures.set(
      'dial',
      Array.from({ length: 5 }, () => new GibilError('boxd_unreachable', 'not yet')),
    )
    expect(await create()).toMatchObject({ status: 'running' })
  })

  test('a boxd that never answers fails the create', async () => {
    world.driver.failures.set(
      'dial',
      Array.from({ length: 10_000 }, () => new GibilError('boxd_unreachable', 'never')),
    )
    await expect(create()).rejects.toEqual(code('boxd_unreachable'))
    expect(world.host.boxes.size).toBe(0)
  })

  test('a failed cleaning up after a failed create is tried again until nothing is left', async () => {
    world.driver.failures.set('dial', [new Error('broken')])
    world.driver.failures.set('destroy', [new Error('busy'), new Error('busy')])
    await expect(create({ name: 'w' })).rejects.toEqual(code('boxd_unreachable'))
    expect(await world.plane.get('w')).toMatchObject({ status: 'destroying', failure: { code: 'boxd_unreachable' } })
    await world.clock.advance(5000)
    expect(world.host.boxes.size).toBe(0)
    expect(await world.plane.list()).toEqual([])
  })

  test('leaving ends the waiting, not the create', async () => {
    const gate = Promise.withResolvers<void>()
    world.driver.hold = () => gate.promise
    const leave = new AbortController()
    const waiting = world.plane.create({ name: 'w' }, { signal: leave.signal })
    await world.clock.settle()
    leave.abort()
    await expect(waiting).rejects.toEqual(code('cancelled'))
    gate.resolve()
    await world.clock.settle()
    expect(await world.plane.get('w')).toMatchObject({ status: 'running' })
  })

  test('wait=created answers at once, and wait() for the rest', async () => {
    const gate = Promise.withResolvers<void>()
    world.driver.hold = () => gate.promise
    const box = await create({ name: 'w', wait: 'created' })
    expect(box.status).toBe('creating')
    const ready = world.plane.wait('w', 'ready')
    gate.resolve()
    expect(await world.clock.until(ready)).toMatchObject({ status: 'running', readiness: 'ready' })
  })

  test('more at once than are taken are refused with busy, and those that wait get their turn', async () => {
    await world.close()
    world = await startWorld({ maxConcurrentCreates: 1, queueLimit: 1 })
    const gate = Promise.withResolvers<void>()
    world.driver.hold = () => gate.promise
    const first = world.plane.create({ name: 'a' })
    await world.clock.settle()
    const second = world.plane.create({ name: 'b' })
    await world.clock.settle()
    await expect(world.plane.create({ name: 'c' })).rejects.toEqual(code('busy'))
    gate.resolve()
    expect(await world.clock.until(Promise.all([first, second]))).toMatchObject([
      { status: 'running' },
      { status: 'running' },
    ])
  })

  test('more boxes than the daemon keeps are refused', async () => {
    await world.close()
    world = await startWorld({ maxBoxes: 1 })
    await create()
    await expect(create()).rejects.toEqual(code('limit_reached'))
  })

  test('progress tells the phases with their times', async () => {
    const phases: string[] = []
    await world.clock.until(world.plane.create({}, { onProgress: ({ phase }) => phases.push(phase) }))
    expect(phases).toEqual(['check', 'created', 'disk', 'create', 'boxd'])
  })
})

describe('destroy', () => {
  test('leaves nothing and answers the box as destroyed', async () => {
    const { id } = await create({ name: 'w' })
    expect(await world.plane.destroy('w')).toMatchObject({ id, status: 'destroyed' })
    expect(world.host.boxes.size).toBe(0)
    expect(world.logs.size).toBe(0)
    await expect(world.plane.get('w')).rejects.toEqual(code('box_not_found'))
    await expect(world.plane.destroy(id)).rejects.toEqual(code('box_not_found'))
  })

  test('twice at once is fine for both', async () => {
    await create({ name: 'w' })
    const results = await Promise.all([world.plane.destroy('w'), world.plane.destroy('w')])
    expect(results.map(({ status }) => status)).toEqual(['destroyed', 'destroyed'])
  })

  test('in the middle of a create ends the create', async () => {
    const gate = Promise.withResolvers<void>()
    world.driver.hold = (method) => (method === 'create' ? gate.promise : Promise.resolve())
    const creating = world.plane.create({ name: 'w' })
    creating.catch(() => undefined)
    await world.clock.settle()
    const destroying = world.plane.destroy('w')
    await world.clock.settle()
    gate.resolve()
    expect(await world.clock.until(destroying)).toMatchObject({ status: 'destroyed' })
    await expect(creating).rejects.toEqual(code('wrong_state'))
    expect(world.host.boxes.size).toBe(0)
    expect(await world.plane.list()).toEqual([])
  })

  test('that fails says so, and is tried again with longer and longer waits', async () => {
    await create({ name: 'w' })
    world.driver.failures.set(
      'destroy',
      Array.from({ length: 3 }, () => new Error('device busy')),
    )
    await expect(world.plane.destroy('w')).rejects.toEqual(code('driver_failed'))
    expect(await world.plane.get('w')).toMatchObject({ status: 'destroying' })
    await world.clock.advance(2900)
    expect(await world.plane.list()).toHaveLength(1)
    await world.clock.advance(5000)
    expect(await world.plane.list()).toEqual([])
    expect(world.host.boxes.size).toBe(0)
  })
})

describe('stop, start, pause and resume', () => {
  test('do what they say, and again without harm', async () => {
    const { id } = await create({ name: 'w' })
    world.box(id).disk.set('/kept', 'yes')
    expect(await world.plane.pause('w')).toMatchObject({ status: 'paused' })
    expect(await world.plane.pause('w')).toMatchObject({ status: 'paused' })
    expect(await world.plane.resume('w')).toMatchObject({ status: 'running' })
    expect(await world.plane.stopBox('w')).toMatchObject({ status: 'stopped', address: null })
    expect(await world.plane.stopBox('w')).toMatchObject({ status: 'stopped' })
    expect(await world.plane.startBox('w')).toMatchObject({ status: 'running', address: '10.0.0.2' })
    expect(world.box(id).disk.get('/kept')).toBe('yes')
  })

  test('a paused box can be stopped', async () => {
    const { id } = await create({ name: 'w' })
    await world.plane.pause('w')
    expect(await world.plane.stopBox('w')).toMatchObject({ status: 'stopped' })
    expect(world.box(id).status).toBe('stopped')
  })

  test('a failing start is told, and the box stays stopped', async () => {
    await create({ name: 'w' })
    await world.plane.stopBox('w')
    world.driver.failures.set('start', [new GibilError('disk_full', 'no room')])
    await expect(world.plane.startBox('w')).rejects.toEqual(code('disk_full'))
    await world.clock.advance(120_000)
    expect(await world.plane.get('w')).toMatchObject({ status: 'stopped' })
    expect(await world.plane.startBox('w')).toMatchObject({ status: 'running' })
  })

  test('a failing pause is told, and the box goes on running', async () => {
    await create({ name: 'w' })
    world.driver.failures.set('pause', [new Error('no freezer')])
    await expect(world.plane.pause('w')).rejects.toEqual(code('driver_failed'))
    await world.clock.advance(120_000)
    expect(await world.plane.get('w')).toMatchObject({ status: 'running' })
  })
})

describe('a box that ends by itself', () => {
  test('is started again, and the events say why', async () => {
    const { id } = await create({ name: 'w' })
    await world.clock.advance(120_000)
    world.driver.kill(id, 'out of memory')
    await world.clock.settle()
    expect(await world.plane.get('w')).toMatchObject({ status: 'running' })
    const events = await world.store.listEvents(0, 100)
    expect(events.find(({ type }) => type === 'box.stopped')).toMatchObject({
      data: { reason: 'out of memory', byItself: true },
    })
    expect(world.box(id).starts).toBe(2)
  })

  test('again and again is given up after some tries', async () => {
    const { id } = await create({ name: 'w' })
    for (let count = 0; count < 5; count += 1) {
      world.driver.kill(id, 'killed')
      await world.clock.advance(20_000)
    }
    expect(await world.plane.get('w')).toMatchObject({
      status: 'failed' satisfies Status,
      failure: { code: 'box_ended' },
    })
    const { starts } = world.box(id)
    await world.clock.advance(3600_000)
    expect(world.host.boxes.get(id)?.starts ?? starts).toBe(starts)
  })

  test('while nobody listened is found by the slow look at everything', async () => {
    const { id } = await create({ name: 'w' })
    await world.clock.advance(61_000)
    world.box(id).status = 'stopped'
    await world.clock.advance(61_000)
    expect(await world.plane.get('w')).toMatchObject({ status: 'running' })
  })

  test('paused starts again without its memory, and the events say so', async () => {
    const { id } = await create({ name: 'w' })
    await world.plane.pause('w')
    await world.clock.advance(120_000)
    world.driver.kill(id, 'host restarted')
    await world.clock.settle()
    expect(await world.plane.get('w')).toMatchObject({ status: 'running' })
    const events = await world.store.listEvents(0, 100)
    expect(events.find(({ type }) => type === 'box.stopped')).toMatchObject({ data: { memoryLost: true } })
  })

  test('of which nothing is left is failed, can be destroyed, and is not made again empty', async () => {
    const { id } = await create({ name: 'w', ttl: 'none' })
    world.host.boxes.delete(id)
    await world.clock.advance(61_000)
    expect(await world.plane.get('w')).toMatchObject({ status: 'failed', failure: { code: 'driver_failed' } })
    expect(world.host.boxes.size).toBe(0)
    await world.plane.destroy('w')
    expect(await world.plane.list()).toEqual([])
  })
})

describe('connect', () => {
  test('gives a stream, resumes a paused box unless quiet, and refuses a stopped one', async () => {
    await create({ name: 'w' })
    const { stream, box } = await world.plane.connect('w')
    expect(box.name).toBe('w')
    stream.destroy()
    await world.plane.pause('w')
    await expect(world.plane.connect('w', undefined, { quiet: true })).rejects.toEqual(code('wrong_state'))
    const again = await world.plane.connect('w')
    again.stream.destroy()
    expect(await world.plane.get('w')).toMatchObject({ status: 'running' })
    await world.plane.stopBox('w')
    await expect(world.plane.connect('w')).rejects.toMatchObject({
      code: 'wrong_state',
      hint: expect.stringContaining('gibil start w'),
    })
  })

  test('waits for a box that is being made', async () => {
    const gate = Promise.withResolvers<void>()
    world.driver.hold = () => gate.promise
    await create({ name: 'w', wait: 'created' })
    const connecting = world.plane.connect('w')
    gate.resolve()
    const { stream } = await world.clock.until(connecting)
    stream.destroy()
  })
})

describe('fleets', () => {
  test('are made, listed and destroyed by their id', async () => {
    await create({ name: 'alone' })
    const fleet = await world.clock.until(world.plane.createFleet({ name: 'f', count: 3 }))
    expect(fleet.id).toMatch(/^fl[a-z2-7]{12}$/)
    expect(fleet.boxes.map(({ name }) => name)).toEqual(['f-1', 'f-2', 'f-3'])
    expect(fleet.failures).toEqual([])
    expect(await world.plane.list({ fleet: fleet.id })).toHaveLength(3)
    expect(await world.clock.until(world.plane.destroyFleet(fleet.id))).toHaveLength(3)
    expect((await world.plane.list()).map(({ name }) => name)).toEqual(['alone'])
    await expect(world.plane.destroyFleet(fleet.id)).rejects.toEqual(code('fleet_not_found'))
  })

  test('tell of those that failed and keep the others', async () => {
    await create({ name: 'f-2' })
    const fleet = await world.clock.until(world.plane.createFleet({ name: 'f', count: 3 }))
    expect(fleet.boxes.map(({ name }) => name)).toEqual(['f-1', 'f-3'])
    expect(fleet.failures).toMatchObject([{ name: 'f-2', failure: { code: 'name_in_use' } }])
    const none = await world.clock.until(world.plane.createFleet({ name: 'f', count: 5, onPartial: 'destroy' }))
    expect(none.boxes).toEqual([])
    expect(none.failures.map(({ name }) => name)).toEqual(['f-1', 'f-2', 'f-3'])
    expect((await world.plane.list()).map(({ name }) => name).sort()).toEqual(['f-1', 'f-2', 'f-3'])
  })

  test('with a wrong wish fail as a whole', async () => {
    await expect(world.plane.createFleet({ name: 'f', count: 3, ttl: 'x' })).rejects.toEqual(code('invalid_duration'))
  })
})

describe('errors', () => {
  test('of store and driver that are none of ours become ours', async () => {
    const { store } = world
    const getBox = store.getBox
    const broken = await world.restart({
      store: {
        ...store,
        listBoxes: async (filter) => (filter?.fleet ? Promise.reject(new TypeError('x')) : store.listBoxes(filter)),
        getBox,
      },
    })
    await expect(broken.list({ fleet: 'fl1' })).rejects.toMatchObject({ code: 'internal', message: 'x' })
  })
})

describe('events of images', () => {
  test('are kept and told with those of boxes', async () => {
    const leave = new AbortController()
    const following = (async () => {
      for await (const event of world.plane.events({ signal: leave.signal })) return event
      return undefined
    })()
    await world.clock.settle()
    await world.plane.imageEvent('image.added', { name: 'base' })
    expect(await following).toMatchObject({ type: 'image.added', boxId: null, data: { name: 'base' } })
  })
})

describe('a driver that this host is unfit for', () => {
  test('says so at create and in the list of shapes, and works once the host is mended', async () => {
    await world.close()
    world = createWorld()
    world.driver.failures.set('open', [new GibilError('missing_tool', 'runc is missing')])
    await world.clock.until(world.plane.start())
    await expect(create()).rejects.toEqual(code('missing_tool'))
    expect(world.plane.shapes()).toMatchObject([{ shape: 'container', unavailable: { code: 'missing_tool' } }])
    await world.clock.advance(61_000)
    expect(await create()).toMatchObject({ status: 'running' })
  })
})
