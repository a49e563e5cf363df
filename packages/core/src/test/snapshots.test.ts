import { GibilError } from '@gibil/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createFakeDriver } from './fake-driver.ts'
import { startWorld, type World } from './world.ts'

const url = 'https://git.example/you/project'
const code = (name: string): unknown => expect.objectContaining({ code: name })

let world: World
beforeEach(async () => {
  world = await startWorld()
  world.host.repos.set(url, { '.gibil.yml': 'services: { s: serve }\ntasks: [build]\nhooks: { onStart: each }' })
  world.command(/serve/, 'hangs')
})
afterEach(async () => {
  try {
    expect(world.host.violations).toEqual([])
  } finally {
    await world.close()
  }
})
const until = <T>(work: Promise<T>): Promise<T> => world.clock.until(work)
const ran = (line: string): number => world.host.ran.filter((one) => one.line === line).length
const services = (id: string): number =>
  [...world.box(id).jobs.values()].filter(({ job }) => job.label === 'service s' && job.exit === null).length
const note = (id: string, text: string): unknown => world.box(id).disk.set('/note', text)
const noted = (id: string): string | undefined => world.box(id).disk.get('/note')

/** A world whose driver can save memory. */
async function withMemory(): Promise<void> {
  await until(world.plane.stop())
  const driver = createFakeDriver(world.host, ['pause', 'snapshot', 'fork', 'memory-snapshot'])
  await world.restart({ drivers: [driver] })
  world.driver = driver
}

describe('a snapshot', () => {
  test('outlives its box, and has a name of its own among those of its owner', async () => {
    const { id } = await until(world.plane.create({ name: 'w' }))
    note(id, 'one')
    const one = await until(world.plane.snapshot('w', { name: 's' }))
    expect(one).toMatchObject({ name: 's', boxName: 'w', boxId: id, kind: 'disk', status: 'ready', parent: null })
    await world.clock.advance(1)
    const made = await until(world.plane.snapshot('w', {}))
    expect(made).toMatchObject({ parent: one.id, name: expect.stringMatching(/^[a-z]+-[a-z]+-/) })
    await expect(until(world.plane.snapshot('w', { name: 's' }))).rejects.toEqual(code('name_in_use'))
    await expect(until(world.plane.snapshot('w', { name: 'S' }))).rejects.toEqual(code('invalid_name'))
    await until(world.plane.destroy('w'))
    expect((await world.plane.snapshots({ box: 'w' })).map(({ name }) => name)).toEqual(['s', made.name])
    expect(await world.plane.snapshots({ box: 'other' })).toEqual([])
    await until(world.plane.removeSnapshot('s'))
    // What came of one that is gone is of what that came of.
    expect(await world.plane.snapshots()).toMatchObject([{ name: made.name, parent: null }])
    await until(world.plane.removeSnapshot(made.id))
    expect(world.host.snapshots.size).toBe(0)
  })

  test('has memory where the shape can and the box lives, and is refused it elsewhere with what to do', async () => {
    await until(world.plane.create({ name: 'w' }))
    await expect(until(world.plane.snapshot('w', { kind: 'disk+memory' }))).rejects.toEqual(
      code('unsupported_by_shape'),
    )
    await withMemory()
    expect(await until(world.plane.snapshot('w', {}))).toMatchObject({ kind: 'disk+memory' })
    expect(await until(world.plane.snapshot('w', { kind: 'disk' }))).toMatchObject({ kind: 'disk' })
    await until(world.plane.pause('w'))
    expect(await until(world.plane.snapshot('w', {}))).toMatchObject({ kind: 'disk+memory' })
    expect(await world.plane.get('w')).toMatchObject({ status: 'paused' })
    await until(world.plane.stopBox('w'))
    expect(await until(world.plane.snapshot('w', {}))).toMatchObject({ kind: 'disk' })
    await expect(until(world.plane.snapshot('w', { kind: 'disk+memory' }))).rejects.toEqual(code('wrong_state'))
  })

  test('is not taken of a box that is being set up, and leaves nothing when it fails', async () => {
    world.command(/build/, 'hangs')
    const { id } = await until(world.plane.create({ name: 'w', repo: { url }, wait: 'running' }))
    await world.clock.advance(1000)
    await expect(until(world.plane.snapshot('w', {}))).rejects.toEqual(code('wrong_state'))
    await until(world.plane.create({ name: 'v' }))
    world.driver.failures.set('snapshot.late', [new GibilError('disk_full', 'no room')])
    await expect(until(world.plane.snapshot('v', { name: 's' }))).rejects.toEqual(code('disk_full'))
    expect(await world.plane.snapshots()).toEqual([])
    expect(await until(world.plane.snapshot('v', { name: 's' }))).toMatchObject({ status: 'ready' })
    await until(world.plane.destroy(id))
  })

  test('ends when its box is destroyed meanwhile', async () => {
    await until(world.plane.create({ name: 'w' }))
    const held = Promise.withResolvers<void>()
    world.driver.hold = async (method) => {
      if (method === 'snapshot') await held.promise
    }
    const taking = world.plane.snapshot('w', { name: 's' }).catch((error: unknown) => error)
    await world.clock.settle()
    expect(await world.plane.snapshots()).toMatchObject([{ status: 'creating', bytes: null }])
    await expect(world.plane.removeSnapshot('s')).rejects.toEqual(code('wrong_state'))
    const going = world.plane.destroy('w')
    await world.clock.settle()
    held.resolve()
    expect(await until(taking)).toEqual(code('wrong_state'))
    await until(going)
    expect(await world.plane.snapshots()).toEqual([])
  })

  test('of a token is no one else’s, and as many as its boxes are kept', async () => {
    await until(world.plane.tokens.create({ name: 'ci', maxBoxes: 2 }))
    const ci = world.plane.as('ci')
    await until(ci.create({ name: 'w' }))
    await until(ci.snapshot('w', { name: 's' }))
    expect(await ci.snapshots()).toMatchObject([{ name: 's', owner: null }])
    expect(await world.plane.as('other').snapshots()).toEqual([])
    await expect(world.plane.as('other').getSnapshot('s')).rejects.toEqual(code('snapshot_not_found'))
    await expect(world.plane.getSnapshot('s')).rejects.toEqual(code('snapshot_not_found'))
    expect(await world.plane.getSnapshot('s@ci')).toMatchObject({ owner: 'ci' })
    await until(ci.snapshot('w', {}))
    await expect(until(ci.snapshot('w', {}))).rejects.toEqual(code('limit_reached'))
    await expect(until(ci.fork({ from: 's', count: 2 }))).rejects.toEqual(code('limit_reached'))
  })

  test('that no record knows is removed', async () => {
    await until(world.plane.create({ name: 'w' }))
    await until(world.plane.snapshot('w', { name: 's' }))
    const [kept] = [...world.host.snapshots.values()]
    if (kept) world.host.snapshots.set('snorphanorphan', kept)
    await until(world.plane.stop())
    await world.restart()
    expect([...world.host.snapshots.keys()]).toEqual([(await world.plane.getSnapshot('s')).id])
  })
})

describe('a restore', () => {
  test('puts the disk back, keeps name, id and lease, and starts services without doing set-up again', async () => {
    const { id, lease } = await until(world.plane.create({ name: 'w', repo: { url } }))
    note(id, 'one')
    const { id: snapshotId } = await until(world.plane.snapshot('w', { name: 's' }))
    note(id, 'two')
    for (const prepare of [async () => undefined, () => world.plane.stopBox('w'), () => world.plane.pause('w')]) {
      await until(prepare())
      expect(await until(world.plane.restore('w', 's'))).toMatchObject({ id, name: 'w', status: 'running', lease })
      await until(world.plane.wait('w', 'ready'))
      expect(noted(id)).toBe('one')
      expect(services(id)).toBe(1)
      expect(await world.plane.get('w')).toMatchObject({ parent: snapshotId, readiness: 'ready' })
      note(id, 'three')
    }
    expect(ran('bash -c build')).toBe(1)
  })

  test('with memory lets what ran run on', async () => {
    await withMemory()
    const { id } = await until(world.plane.create({ name: 'w', repo: { url } }))
    await until(world.plane.snapshot('w', { name: 's' }))
    await until(world.plane.restore('w', 's'))
    expect(await world.plane.get('w')).toMatchObject({ status: 'running', readiness: 'ready' })
    expect(ran('bash -c serve')).toBe(1)
    expect(world.box(id).jobs.size).toBeGreaterThan(0)
  })

  test('that fails leaves the box as it was', async () => {
    const { id } = await until(world.plane.create({ name: 'w' }))
    note(id, 'one')
    await until(world.plane.snapshot('w', { name: 's' }))
    note(id, 'two')
    world.driver.failures.set('restore.late', [new GibilError('driver_failed', 'a mishap')])
    await expect(until(world.plane.restore('w', 's'))).rejects.toThrow('a mishap')
    expect(await world.plane.get('w')).toMatchObject({ status: 'stopped' })
    await world.clock.advance(600_000)
    expect(noted(id)).toBe('two')
    await until(world.plane.startBox('w'))
  })

  test('is refused for a snapshot of a box that was made in another way', async () => {
    await until(world.plane.create({ name: 'w' }))
    await until(world.plane.create({ name: 'v', image: 'other' }))
    await until(world.plane.create({ name: 'same' }))
    await until(world.plane.snapshot('v', { name: 's' }))
    await expect(until(world.plane.restore('w', 's'))).rejects.toEqual(
      expect.objectContaining({ code: 'wrong_state', hint: expect.stringContaining('gibil fork s') }),
    )
    await expect(until(world.plane.restore('w', 'none'))).rejects.toEqual(code('snapshot_not_found'))
    await until(world.plane.snapshot('same', { name: 't' }))
    await until(world.plane.restore('w', 't'))
  })
})

describe('a fork', () => {
  test('of a box begins as that is now, is ready, and has a lease of its own', async () => {
    const { id } = await until(
      world.plane.create({ name: 'w', repo: { url }, env: { A: '1' }, labels: { a: 'b' }, ttl: '2h' }),
    )
    note(id, 'one')
    const { fleet, boxes, failures } = await until(world.plane.fork({ from: 'w', name: 'f' }))
    expect({ fleet, failures }).toEqual({ fleet: null, failures: [] })
    const [box] = boxes
    expect(box).toMatchObject({ name: 'f', status: 'running', readiness: 'ready', labels: { a: 'b' }, parent: null })
    expect(box?.lease.ttlSeconds).toBe(3600)
    expect(box?.repo).toEqual((await world.plane.get('w')).repo)
    expect(noted(box?.id ?? '')).toBe('one')
    expect(world.box(box?.id ?? '').configured).toMatchObject({ env: { A: '1' }, cwd: '~/project' })
    expect({ own: services(box?.id ?? ''), source: services(id) }).toEqual({ own: 1, source: 1 })
    expect(ran('bash -c build')).toBe(1)
    expect(await world.plane.snapshots()).toEqual([])
    expect(world.host.snapshots.size).toBe(0)
  })

  test('into several are a fleet; those that fail are told', async () => {
    await until(world.plane.create({ name: 'w' }))
    const { id } = await until(world.plane.snapshot('w', { name: 's' }))
    await until(world.plane.destroy('w'))
    world.driver.failures.set('create.late', [new GibilError('disk_full', 'no room')])
    const forked = await until(world.plane.fork({ from: 's', name: 'f', count: 3, ttl: '5m', idle: '2m' }))
    expect(forked.boxes).toHaveLength(2)
    expect(forked.failures).toMatchObject([{ failure: { code: 'disk_full' } }])
    for (const box of forked.boxes) {
      expect(box).toMatchObject({ fleet: forked.fleet, parent: id, lease: { onExpire: 'destroy', onIdle: 'pause' } })
    }
    expect(await world.plane.list()).toHaveLength(2)
    await until(world.plane.removeSnapshot('s'))
    expect((await world.plane.list()).map(({ parent }) => parent)).toEqual([null, null])
  })

  test('alone throws what it failed by, and leaves nothing', async () => {
    await until(world.plane.create({ name: 'w' }))
    world.driver.failures.set('create.late', [new GibilError('disk_full', 'no room')])
    await expect(until(world.plane.fork({ from: 'w' }))).rejects.toEqual(code('disk_full'))
    await expect(until(world.plane.fork({ from: 'none' }))).rejects.toEqual(code('snapshot_not_found'))
    await expect(until(world.plane.fork({ from: 'w', ttl: 'soon' }))).rejects.toEqual(code('invalid_duration'))
    expect(await world.plane.list()).toHaveLength(1)
    expect(world.host.snapshots.size).toBe(0)
  })

  test('goes on when its caller leaves, and what it needs is kept until then', async () => {
    await until(world.plane.create({ name: 'w' }))
    await until(world.plane.snapshot('w', { name: 's' }))
    const held = Promise.withResolvers<void>()
    world.driver.hold = async (method) => {
      if (method === 'create') await held.promise
    }
    const leaving = new AbortController()
    const forking = world.plane.fork({ from: 's', name: 'f' }, { signal: leaving.signal }).catch(() => 'left')
    await world.clock.settle()
    leaving.abort(new GibilError('cancelled', 'gone'))
    expect(await until(forking)).toBe('left')
    await expect(world.plane.removeSnapshot('s')).rejects.toEqual(code('wrong_state'))
    held.resolve()
    await until(world.plane.wait('f', 'ready'))
    await until(world.plane.removeSnapshot('s'))
  })

  test('of a box whose set-up failed has failed too, and says with what', async () => {
    world.command(/build/, 1)
    await until(world.plane.create({ name: 'w', repo: { url } })).catch(() => undefined)
    const { boxes } = await until(world.plane.fork({ from: 'w', name: 'f' }))
    expect(boxes).toMatchObject([{ status: 'running', readiness: 'failed', failure: { code: 'task_failed' } }])
  })
})
