import { GibilError } from '@gibil/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startWorld, type World } from './world.ts'

const url = 'https://git.example/you/project'
const day = 86_400_000
let world: World
beforeEach(async () => {
  world = await startWorld({ setups: { most: 3, mostBytes: 1e12, oldestMs: 7 * day } })
  world.host.repos.set(url, { 'README.md': '# hello' })
  world.host.commands.push({
    match: /install tools/,
    act: async (box) => {
      box.disk.set('/tools', 'there')
      return { output: 'installed\n', exit: { exitCode: 0, signal: null, timedOut: false, durationMs: 1 } }
    },
  })
})
afterEach(async () => {
  try {
    expect(world.host.violations).toEqual([])
  } finally {
    await world.close()
  }
})

type Input = Parameters<World['plane']['create']>[0]
const until = <T>(work: Promise<T>): Promise<T> => world.clock.until(work)
const create = (input: Input) => until(world.plane.create({ setup: 'install tools', ...input }))
const ran = (line: string): number => world.host.ran.filter((one) => one.line === line).length
const scripts = (): number => ran('bash -c install tools')
const kept = async (): Promise<string[]> =>
  (await world.plane.snapshots()).filter(({ setup }) => setup).map(({ name }) => name)

describe('a set-up script', () => {
  test('runs once for all boxes with the same script and image, and before the repository comes', async () => {
    const one = await create({ name: 'a', repo: { url } })
    expect(one).toMatchObject({ readiness: 'ready', timings: expect.arrayContaining([{ phase: 'setup', ms: 0 }]) })
    expect(world.host.ran.map(({ line }) => line.split(' ')[0])).toEqual(['bash', 'git', 'git'])
    const two = await create({ name: 'b', repo: { url } })
    expect(two).toMatchObject({ readiness: 'ready', repo: { path: '~/project' } })
    expect(await create({ name: 'c' })).toMatchObject({ readiness: 'ready', repo: null })
    expect(scripts()).toBe(1)
    for (const { id } of [one, two]) {
      expect(world.box(id).disk.get('/tools')).toBe('there')
      expect(world.box(id).disk.get('/home/agent/project/README.md')).toBe('# hello')
    }
    expect(await kept()).toEqual([expect.stringMatching(/^setup-[0-9a-f]{12}$/)])
  })

  test('runs again where script, image or size is another, and where what it made was removed', async () => {
    await create({ name: 'a' })
    await create({ name: 'b', image: 'other' })
    await create({ name: 'c', memoryMib: 512 })
    expect(scripts()).toBe(3)
    await create({ name: 'd', setup: 'install tools --all' })
    expect(ran('bash -c install tools --all')).toBe(1)
    for (const name of await kept()) await until(world.plane.removeSnapshot(name))
    await create({ name: 'e' })
    expect(scripts()).toBe(4)
  })

  test('sees nothing that is one box’s own, and is another’s for each owner', async () => {
    const { id } = await create({ name: 'a', env: { SECRET: 's3cret' } })
    const [script] = world.host.ran
    expect(script?.env).toEqual({})
    expect(world.box(id).configured.env).toMatchObject({ SECRET: 's3cret' })
    const saved = (await world.store.listSnapshots()).map((record) => JSON.stringify(record))
    expect(saved.join()).not.toContain('s3cret')
    await until(world.plane.tokens.create({ name: 'ci' }))
    await until(world.plane.create({ name: 'a', setup: 'install tools' }, { owner: 'ci' }))
    expect(scripts()).toBe(2)
  })

  test('that fails is told with its output and never kept', async () => {
    world.command(/broken/, 3, 'no such package\n')
    await expect(create({ name: 'a', setup: 'broken' })).rejects.toMatchObject({
      code: 'task_failed',
      message: 'The set-up script ended with 3.',
      details: { step: 'setup', log: expect.stringContaining('no such package') },
    })
    expect(await world.plane.list()).toEqual([])
    expect(await kept()).toEqual([])
    expect(world.host.snapshots.size).toBe(0)
  })

  test('whose result cannot be kept is no failure of the box', async () => {
    world.driver.failures.set('snapshot.late', [new GibilError('disk_full', 'no room')])
    const { id } = await create({ name: 'a', repo: { url } })
    expect(await world.plane.get('a')).toMatchObject({ readiness: 'ready' })
    expect(world.logs.get(id)).toContain('is not kept: no room')
    expect(await kept()).toEqual([])
    await create({ name: 'b' })
    expect(scripts()).toBe(2)
  })

  test('of .gibil.yml is heeded as well: the box is made anew with it, once', async () => {
    world.host.repos.set(url, { '.gibil.yml': 'setup: install tools\ntasks: [build]' })
    const one = await until(world.plane.create({ name: 'a', repo: { url } }))
    const two = await until(world.plane.create({ name: 'b', repo: { url } }))
    expect(scripts()).toBe(1)
    expect(ran('bash -c build')).toBe(2)
    for (const { id } of [one, two]) expect(world.box(id).disk.get('/tools')).toBe('there')
    expect(await kept()).toHaveLength(1)
    // The caller's own wins.
    await create({ name: 'c', setup: 'install tools --mine', repo: { url } })
    expect(scripts()).toBe(1)
    expect(ran('bash -c install tools --mine')).toBe(1)
  })

  test('begins anew after the daemon died in it', async () => {
    world.host.commands.push({ match: /install tools/, act: () => new Promise(() => undefined) })
    await create({ name: 'a', wait: 'running', repo: { url } })
    world.host.commands.pop()
    await until(world.plane.stop())
    await world.restart()
    expect(await until(world.plane.wait('a', 'ready'))).toMatchObject({ readiness: 'ready' })
    const { id } = await world.plane.get('a')
    expect(world.box(id).disk.get('/tools')).toBe('there')
    expect(scripts()).toBe(2)
    expect(await kept()).toHaveLength(1)
  })
})

describe('what set-up scripts made', () => {
  test('is bounded in number, those used least lately go first, and in age', async () => {
    for (const name of ['a', 'b', 'c']) {
      await create({ name, setup: `install tools ${name}` })
      await world.clock.advance(1000)
    }
    await create({ name: 'a-again', setup: 'install tools a' })
    await create({ name: 'd', setup: 'install tools d' })
    expect(await kept()).toHaveLength(3)
    await create({ name: 'a-still', setup: 'install tools a' })
    expect(ran('bash -c install tools a')).toBe(1)
    await create({ name: 'b-again', setup: 'install tools b' })
    expect(ran('bash -c install tools b')).toBe(2)
    for (const { name } of await world.plane.list()) await until(world.plane.destroy(name))
    await world.clock.advance(8 * day)
    expect(await kept()).toEqual([])
    expect(world.host.snapshots.size).toBe(0)
  })

  test('is a box of its own by fork, set up and with nothing of the first', async () => {
    await create({ name: 'a', repo: { url }, env: { A: '1' } })
    const [name = ''] = await kept()
    const { boxes } = await until(world.plane.fork({ from: name, name: 'f' }))
    expect(boxes).toMatchObject([{ readiness: 'ready', repo: null, envNames: [] }])
    expect(world.box(boxes[0]?.id ?? '').disk.get('/tools')).toBe('there')
  })
})
