import type { Event } from '@gibil/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startWorld, type World } from './world.ts'

const url = 'https://git.example/you/project'
let world: World
beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.close())

const create = (input: Parameters<World['plane']['create']>[0] = {}) =>
  world.clock.until(world.plane.create({ name: 'w', ...input }))
const code = (expected: string) => expect.objectContaining({ code: expected })
const told = async (): Promise<[Event['type'], unknown][]> =>
  (await world.store.listEvents(0, 1000)).flatMap(({ type, data }) =>
    type === 'box.published' || type === 'box.unpublished' ? [[type, data]] : [],
  )

describe('a port', () => {
  test('is published private or public, keeps its secret, and is told without it', async () => {
    await create()
    await world.plane.publish('w', 8080, { public: true })
    const { ports } = await world.plane.publish('w', 3000, { public: false })
    expect(ports).toEqual([
      { port: 3000, public: false, secret: expect.stringMatching(/^[0-9a-f]{32}$/) },
      { port: 8080, public: true, secret: expect.stringMatching(/^[0-9a-f]{32}$/) },
    ])
    expect(ports[0]?.secret).not.toBe(ports[1]?.secret)
    const again = await world.plane.publish('w', 3000, { public: true })
    expect(again.ports[0]).toEqual({ ...ports[0], public: true })
    expect((await world.plane.publish('w', 3000, { public: true })).ports).toEqual(again.ports)
    const box = await world.plane.get('w')
    expect(box.published).toEqual([
      { port: 3000, public: true },
      { port: 8080, public: true },
    ])
    expect(await told()).toEqual([
      ['box.published', { port: 8080, public: true }],
      ['box.published', { port: 3000, public: false }],
      ['box.published', { port: 3000, public: true }],
    ])
    const seen = JSON.stringify([box, await world.plane.list(), await world.store.listEvents(0, 1000)])
    for (const { secret } of ports) expect(seen).not.toContain(secret)
  })

  test('that was taken back has another secret when it is published again', async () => {
    await create()
    const before = await world.plane.publish('w', 3000, { public: false })
    await world.plane.unpublish('w', 3000)
    await expect(world.plane.unpublish('w', 3000)).rejects.toEqual(code('port_not_published'))
    const after = await world.plane.publish('w', 3000, { public: false })
    expect(after.ports[0]?.secret).not.toBe(before.ports[0]?.secret)
    expect((await told()).map(([type]) => type)).toEqual(['box.published', 'box.unpublished', 'box.published'])
  })

  test('is published whatever the box does, up to a limit, and not of one that goes', async () => {
    await create()
    await world.clock.until(world.plane.stopBox('w'))
    for (let port = 1; port <= 64; port += 1) await world.plane.publish('w', port, { public: false })
    await expect(world.plane.publish('w', 65, { public: false })).rejects.toEqual(code('limit_reached'))
    await world.clock.until(world.plane.destroy('w'))
    await expect(world.plane.publish('w', 1, { public: false })).rejects.toEqual(code('box_not_found'))
    await expect(world.plane.published('w')).rejects.toEqual(code('box_not_found'))
  })
})

describe('the ports of .gibil.yml', () => {
  test('are published private when the box is ready, once', async () => {
    world.host.repos.set(url, { '.gibil.yml': 'ports: [3000, 80]\nservices:\n  s: sleep\nhooks: { onStart: [start] }' })
    world.command(/sleep/, 'hangs')
    await create({ repo: { url } })
    expect((await world.plane.get('w')).published).toEqual([
      { port: 80, public: false },
      { port: 3000, public: false },
    ])
    await world.plane.unpublish('w', 80)
    await world.plane.publish('w', 3000, { public: true })
    await world.clock.until(world.plane.stopBox('w'))
    await world.clock.until(world.plane.startBox('w'))
    await world.clock.until(world.plane.wait('w', 'ready'))
    expect((await world.plane.get('w')).published).toEqual([{ port: 3000, public: true }])
  })

  test('are not of a box whose set-up failed', async () => {
    world.host.repos.set(url, { '.gibil.yml': 'ports: [3000]\ntasks: [bad]' })
    world.command(/bad/, 1)
    await expect(create({ repo: { url } })).rejects.toEqual(code('task_failed'))
    expect((await world.plane.get('w')).published).toEqual([])
  })
})

test('what uses a box is told by what it is for, and since when', async () => {
  await create()
  const idle = { since: null, commands: 0, files: 0, ports: 0 }
  expect((await world.plane.get('w')).activity).toEqual(idle)
  const since = new Date(world.clock.now()).toISOString()
  const port = await world.plane.connect('w', undefined, { use: 'port' })
  await world.clock.advance(5000)
  const file = await world.plane.connect('w', undefined, { use: 'file' })
  await world.plane.connect('w', undefined, { quiet: true })
  expect((await world.plane.get('w')).activity).toEqual({ since, commands: 0, files: 1, ports: 1 })
  port.stream.destroy()
  await expect
    .poll(async () => (await world.plane.get('w')).activity)
    .toEqual({ since, commands: 0, files: 1, ports: 0 })
  file.stream.destroy()
  await expect.poll(async () => (await world.plane.get('w')).activity).toEqual(idle)
})
