import { Readable } from 'node:stream'
import type { Box, CreateToken } from '@gibil/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { BoxPlane, ControlPlane } from '../index.ts'
import { startWorld, type World } from './world.ts'

let world: World
beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.close())

const until = <T>(work: Promise<T>): Promise<T> => world.clock.until(work)
const code = (expected: string) => expect.objectContaining({ code: expected })
const small = { cpu: 1, memoryMib: 512, diskMib: 1024 }
const token = (name: string, limits: Omit<CreateToken, 'name'> = {}) => world.plane.tokens.create({ name, ...limits })
async function callerWith(name: string, limits: Omit<CreateToken, 'name'> = {}): Promise<BoxPlane> {
  await token(name, limits)
  return world.plane.as(name)
}

describe('a token', () => {
  test('is known by its secret, of which only a digest is kept', async () => {
    const made = await token('ci', { maxBoxes: 3 })
    expect(made).toMatchObject({
      name: 'ci',
      limits: { boxes: 3, cpu: null, memoryMib: null, diskMib: null },
      used: { boxes: 0, cpu: 0, memoryMib: 0, diskMib: 0 },
      expiresAt: null,
    })
    expect(made.secret).toMatch(/^gibil_[0-9a-f]{64}$/)
    expect(await world.plane.tokens.authenticate(made.secret)).toMatchObject({ name: 'ci' })
    expect(JSON.stringify([await world.plane.tokens.list(), await world.store.listTokens()])).not.toContain(
      made.secret.slice('gibil_'.length),
    )
  })

  test.each(['', 'gibil_', `gibil_${'0'.repeat(64)}`, "' OR 1=1 --"])('is not "%s"', async (secret) => {
    await token('ci')
    await expect(world.plane.tokens.authenticate(secret)).rejects.toThrow(code('unauthorized'))
  })

  test('has a name of its own that is a DNS label', async () => {
    await token('ci')
    await expect(token('ci')).rejects.toThrow(code('name_in_use'))
    for (const name of ['', 'a@b', 'Upper', 'a/b']) await expect(token(name)).rejects.toThrow(code('invalid_name'))
  })

  test('is refused once it is revoked, and tells those who listen', async () => {
    const { secret } = await token('ci')
    const caller = await world.plane.tokens.authenticate(secret)
    const heard: string[] = []
    const leave = caller.onRevoked(() => heard.push('left'))
    leave()
    caller.onRevoked((reason) => heard.push(reason.code))
    await world.plane.tokens.revoke('ci')
    expect(heard).toEqual(['unauthorized'])
    await expect(world.plane.tokens.authenticate(secret)).rejects.toThrow(code('unauthorized'))
    await expect(world.plane.as('ci').create(small)).rejects.toThrow(code('unauthorized'))
    await expect(world.plane.tokens.revoke('ci')).rejects.toThrow(code('token_not_found'))
  })

  test('is good for as long as it was said to be', async () => {
    const { secret, expiresAt } = await token('ci', { ttl: '1h' })
    expect(Date.parse(expiresAt ?? '')).toBe(world.clock.now() + 3_600_000)
    await world.clock.advance(3_599_000)
    await world.plane.tokens.authenticate(secret)
    await world.clock.advance(1000)
    await expect(world.plane.tokens.authenticate(secret)).rejects.toThrow(code('unauthorized'))
  })

  test('leaves its boxes to live by their lease, and to the next token of its name', async () => {
    const first = await callerWith('ci')
    const { id } = await until(first.create({ ...small, name: 'w', ttl: '2h' }))
    await world.plane.tokens.revoke('ci')
    expect(await world.plane.get(id)).toMatchObject({ owner: 'ci', status: 'running' })
    const second = await callerWith('ci', { maxBoxes: 1 })
    expect(await second.get('w')).toMatchObject({ id })
    await expect(until(second.create(small))).rejects.toThrow(code('limit_reached'))
    await world.clock.advance(7_200_000)
    await expect(world.plane.get(id)).rejects.toThrow(code('box_not_found'))
  })
})

describe('whose a box is', () => {
  test('names are of their owner: the same for each, and none says that there is another', async () => {
    const [a, b] = [await callerWith('a'), await callerWith('b')]
    const boxes: Box[] = []
    for (const plane of [world.plane, a, b]) {
      boxes.push(await until(plane.create({ ...small, name: 'w' })))
      await world.clock.advance(1)
    }
    expect(boxes.map(({ owner }) => owner)).toEqual([null, null, null])
    expect((await world.plane.list()).map(({ name, owner }) => [name, owner])).toEqual([
      ['w', null],
      ['w', 'a'],
      ['w', 'b'],
    ])
    expect(await world.plane.get('w')).toMatchObject({ id: boxes[0]?.id })
    expect(await world.plane.get('w@b')).toMatchObject({ id: boxes[2]?.id, owner: 'b' })
    expect(await a.get('w')).toMatchObject({ id: boxes[1]?.id, owner: null })
    expect(await a.list()).toHaveLength(1)
    await expect(until(a.create({ ...small, name: 'w' }))).rejects.toThrow(code('name_in_use'))
  })

  /** Every verb that takes a box: one that is missing here does not compile. */
  const verbs = (
    plane: BoxPlane,
    ref: string,
  ): Record<
    Exclude<
      keyof BoxPlane,
      | 'create'
      | 'createFleet'
      | 'list'
      | 'snapshots'
      | 'events'
      | 'shapes'
      | 'cost'
      | 'choose'
      | 'ended'
      | 'importBox'
      | 'volumes'
    >,
    () => Promise<unknown>
  > => ({
    wait: () => plane.wait(ref, 'ready'),
    uploadRepo: () => plane.uploadRepo(ref, Readable.from([])),
    get: () => plane.get(ref),
    extend: () => plane.extend(ref, '1h'),
    setEgress: () => plane.setEgress(ref, { allow: [], deny: [] }),
    pause: () => plane.pause(ref),
    resume: () => plane.resume(ref),
    stopBox: () => plane.stopBox(ref),
    startBox: () => plane.startBox(ref),
    restart: () => plane.restart(ref),
    console: () => plane.console(ref),
    destroy: () => plane.destroy(ref),
    destroyFleet: () => plane.destroyFleet(ref),
    connect: () => plane.connect(ref),
    setupLog: () => plane.setupLog(ref, 0, 10),
    sessions: () => plane.sessions.start({ box: ref, agent: 'true', task: 'x' }),
    snapshot: () => plane.snapshot(ref, {}),
    getSnapshot: () => plane.getSnapshot(ref),
    removeSnapshot: () => plane.removeSnapshot(ref),
    restore: () => plane.restore(ref, ref),
    move: () => plane.move(ref, { shape: 'microvm' }),
    exportBox: () => plane.exportBox(ref, async () => undefined),
    mount: () => plane.mount(ref, { snapshot: ref }),
    unmount: () => plane.unmount(ref, ref),
    mounts: () => plane.mounts(ref),
    fork: () => plane.fork({ from: ref }),
    publish: () => plane.publish(ref, 80, { public: true }),
    unpublish: () => plane.unpublish(ref, 80),
    published: () => plane.published(ref),
  })

  test('no verb of another tells of it, or does anything to it', async () => {
    const [a, b] = [await callerWith('a'), await callerWith('b')]
    const fleet = await until(b.createFleet({ ...small, name: 'f', count: 2 }))
    const [box] = fleet.boxes
    const before = await world.store.getBox(box?.id ?? '')
    const told = async (plane: BoxPlane, ref: string): Promise<unknown[]> => {
      const results = await Promise.allSettled(Object.values(verbs(plane, ref)).map((verb) => until(verb())))
      return results.map((result) => (result.status === 'rejected' ? [result.reason.code, result.reason.hint] : 'done'))
    }
    const nothing = await told(a, 'bxaaaaaaaaaaaa')
    for (const ref of [box?.id, 'f-1', 'f-1@b', fleet.id]) expect(await told(a, ref ?? '')).toEqual(nothing)
    expect(await world.store.getBox(box?.id ?? '')).toEqual(before)
    expect(await a.list({ fleet: fleet.id })).toEqual([])
    expect(await b.list({ fleet: fleet.id })).toHaveLength(2)
    expect(await until(b.destroyFleet(fleet.id))).toHaveLength(2)
  })

  test('a token hears of its own boxes, and of images', async () => {
    const [a, b] = [await callerWith('a'), await callerWith('b')]
    await until(a.create({ ...small, name: 'mine' }))
    await until(b.create({ ...small, name: 'theirs' }))
    await until(world.plane.create({ ...small, name: 'his' }))
    await world.plane.imageEvent('image.added', { name: 'i' })
    const heard = async (plane: BoxPlane): Promise<Set<string | null>> => {
      const names = new Set<string | null>()
      for await (const event of plane.events({ afterSeq: 0, signal: AbortSignal.timeout(10_000) })) {
        names.add(event.owner === null ? event.boxName : `${event.boxName}@${event.owner}`)
        if (event.type === 'image.added') break
      }
      return names
    }
    expect(await heard(a)).toEqual(new Set(['mine', null]))
    expect(await heard(world.plane)).toEqual(new Set(['mine@a', 'theirs@b', 'his', null]))
  })
})

describe('limits', () => {
  const asked = (plane: ControlPlane | BoxPlane, size: object) => until(plane.create({ ...small, ...size }))

  test.each([
    [{ maxBoxes: 1 }, 'boxes', { used: 1, asked: 1, allowed: 1 }],
    [{ maxCpu: 1.5 }, 'cpu', { used: 1, asked: 1, allowed: 1.5 }],
    [{ maxMemoryMib: 1000 }, 'memoryMib', { used: 512, asked: 512, allowed: 1000 }],
    [{ maxDiskMib: 2047 }, 'diskMib', { used: 1024, asked: 1024, allowed: 2047 }],
  ])('%j hold for all boxes of a token together, whatever their status', async (limits, limit, amounts) => {
    const plane = await callerWith('ci', limits)
    const { id } = await asked(plane, {})
    await until(plane.stopBox(id))
    const error = await asked(plane, {}).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'limit_reached', details: { limit, ...amounts } })
    expect(await plane.list()).toHaveLength(1)
    await asked(world.plane, {})
    await until(plane.destroy(id))
    await asked(plane, {})
  })

  test('fractions of a CPU add up to what they should', async () => {
    const plane = await callerWith('ci', { maxCpu: 0.3 })
    for (let count = 0; count < 3; count += 1) await asked(plane, { cpu: 0.1 })
    await expect(asked(plane, { cpu: 0.1 })).rejects.toThrow(/0\.3 vCPUs of the 0\.3 vCPUs/)
  })

  test('hold for creates side by side, and what fails or is named twice gives its place back', async () => {
    const plane = await callerWith('ci', { maxBoxes: 5 })
    const many = Array.from({ length: 20 }, (_, n) => asked(plane, n < 3 ? { image: 'nope' } : {}))
    const results = await Promise.allSettled(many)
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(5)
    expect(await plane.list()).toHaveLength(5)
    for (const { id } of await plane.list()) await until(plane.destroy(id))
    await asked(plane, { name: 'w' })
    const same = await Promise.allSettled(Array.from({ length: 3 }, () => asked(plane, { name: 'w' })))
    expect(same.every(({ status }) => status === 'rejected')).toBe(true)
    for (let count = 1; count < 5; count += 1) await asked(plane, {})
    await expect(asked(plane, {})).rejects.toThrow(code('limit_reached'))
  })

  test('count a whole fleet before any of it is made', async () => {
    const plane = await callerWith('ci', { maxBoxes: 5 })
    const make = (count: number) => until(plane.createFleet({ ...small, count }))
    await expect(make(6)).rejects.toThrow(code('limit_reached'))
    expect(await world.store.listBoxes()).toEqual([])
    const both = await Promise.allSettled([make(3), make(3)])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(await plane.list()).toHaveLength(3)
  })

  test('hold for a box that its .gibil.yml wants larger', async () => {
    const url = 'https://git.example/you/project'
    const repo = { repo: { url } }
    world.host.repos.set(url, { '.gibil.yml': 'cpu: 2\n' })
    const plane = await callerWith('ci', { maxCpu: 3 })
    await until(plane.create({ cpu: 1, memoryMib: 512, diskMib: 1024, defaulted: ['cpu'], ...repo }))
    expect(await plane.list()).toMatchObject([{ size: { cpu: 2 } }])
    const second = until(plane.create({ cpu: 1, memoryMib: 512, diskMib: 1024, defaulted: ['cpu'], ...repo }))
    await expect(second).rejects.toThrow(/take 3 vCPUs of the 3 vCPUs/)
    expect(await plane.list()).toHaveLength(1)
  })

  test('of the daemon hold for all together', async () => {
    await world.close()
    world = await startWorld({ maxBoxes: 3 })
    const [a, b] = [await callerWith('a'), await callerWith('b')]
    const results = await Promise.allSettled([a, b, a, b, a].map((plane) => asked(plane, {})))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
  })
})
