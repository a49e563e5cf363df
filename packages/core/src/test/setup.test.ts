import { Readable } from 'node:stream'
import { GibilError } from '@gibil/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { exit } from './host.ts'
import { startWorld, type World } from './world.ts'

const url = 'https://git.example/you/project'
let world: World
beforeEach(async () => {
  world = await startWorld()
  world.host.repos.set(url, { 'README.md': '# hello' })
})
afterEach(() => world.close())

type Input = Parameters<World['plane']['create']>[0]
const create = (input: Input = {}) => world.clock.until(world.plane.create({ name: 'w', repo: { url }, ...input }))
const withConfig = (yml: string) => world.host.repos.set(url, { '.gibil.yml': yml })
const code = (expected: string) => expect.objectContaining({ code: expected })
const lines = (): string[] => world.host.ran.map(({ line }) => line)

describe('clone', () => {
  test('puts the repository where commands begin, and tells the commit', async () => {
    const box = await create({ repo: { url: 'git.example/you/project', branch: 'main' } })
    expect(box).toMatchObject({
      readiness: 'ready',
      repo: { source: url, branch: 'main', path: '~/project', commit: 'a'.repeat(40) },
    })
    expect(lines()[0]).toBe(`git clone --branch main -- ${url} project`)
    expect(world.box(box.id).configured.cwd).toBe('~/project')
    expect(world.box(box.id).disk.get('/home/agent/project/README.md')).toBe('# hello')
    expect(box.timings.map(({ phase }) => phase)).toContain('clone')
  })

  test('never asks, and gives the token to that one process and nobody else', async () => {
    const token = 'ghp_verysecret'
    const box = await create({ repo: { url, token } })
    const [clone, ...others] = world.host.ran
    expect(clone?.env).toMatchObject({
      GIT_TERMINAL_PROMPT: '0',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'http.https://git.example/.extraHeader',
      GIT_CONFIG_VALUE_0: `Authorization: Basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`,
    })
    const secrets = [token, Buffer.from(`x-access-token:${token}`).toString('base64')]
    const seen = JSON.stringify([
      box,
      lines(),
      others,
      [...world.box(box.id).disk],
      world.box(box.id).configured,
      [...world.logs],
      await world.store.listBoxes(),
      await world.store.listEvents(0, 1000),
    ])
    for (const secret of secrets) expect(seen).not.toContain(secret)
  })

  test('takes credentials out of the address', async () => {
    const box = await create({ repo: { url: 'https://me:s3cretpw@git.example/you/project' } })
    expect(box.repo?.source).toBe(url)
    expect(JSON.stringify([await world.store.listBoxes(), lines()])).not.toContain('s3cretpw')
    expect(world.host.ran[0]?.env['GIT_CONFIG_VALUE_0']).toBe(
      `Authorization: Basic ${Buffer.from('me:s3cretpw').toString('base64')}`,
    )
  })

  test('hides a token that a server sends back', async () => {
    world.command(/^git clone/, 128, 'remote: bad token ghp_verysecret\n')
    await expect(create({ repo: { url, token: 'ghp_verysecret' } })).rejects.toMatchObject({
      code: 'clone_failed',
      details: { step: 'clone', log: 'remote: bad token [hidden]\n' },
    })
  })

  test('of what does not exist is told, and leaves nothing', async () => {
    await expect(create({ repo: { url: `${url}-not` } })).rejects.toMatchObject({
      code: 'repo_not_found',
      details: { step: 'clone', log: expect.stringContaining('not found') },
    })
    expect(await world.plane.list()).toEqual([])
    expect(world.host.boxes.size).toBe(0)
    expect(world.logs.size).toBe(0)
  })

  test('in an image without git is told', async () => {
    world.host.commands.push({
      match: /^git clone/,
      act: async () => ({ output: '', exit: exit(null, { signal: 'SIGKILL', timedOut: true, durationMs: 1_800_000 }) }),
    })
    await expect(create()).rejects.toMatchObject({
      code: 'clone_failed',
      message: expect.stringContaining('after 30m'),
    })
  })
})

describe('.gibil.yml', () => {
  test('services come up in order, then onCreate, tasks and onStart', async () => {
    withConfig(`
env: { NODE_ENV: test, PY: 3.10 }
ports: [3000]
ttl: 2h
idle: 10m
onExpire: stop
runtime: { node: 24 }
services:
  db: { command: start-db, ready: { port: 5432 } }
  web: { command: start-web, env: { PORT: 3000 }, cwd: web, ready: { command: curl ok } }
tasks:
  - npm ci
  - { name: test, run: npm test, cwd: packages/a, env: { CI: 1 }, timeout: 5m }
hooks: { onCreate: first, onStart: [last] }
`)
    world.command(/^node --version/, 0, 'v24.21.0\n')
    world.command(/start-/, 'hangs')
    world.host.ports.add(5432)
    const readiness: string[] = []
    const box = await create({ env: { NODE_ENV: 'mine' } })
    for (const { type, data } of await world.store.listEvents(0, 1000)) {
      if (type === 'box.readiness') readiness.push(String(data['readiness']))
    }
    expect(readiness).toEqual(['cloning', 'services', 'tasks', 'ready'])
    expect(lines().slice(2)).toEqual([
      'node --version',
      'bash -c start-db',
      'bash -c start-web',
      'bash -c curl ok',
      'bash -c first',
      'bash -c npm ci',
      'bash -c npm test',
      'bash -c last',
    ])
    expect(box).toMatchObject({
      readiness: 'ready',
      ports: [3000],
      lease: { ttlSeconds: 7200, idleSeconds: 600, onExpire: 'stop' },
    })
    expect(world.box(box.id).configured.env).toMatchObject({ NODE_ENV: 'mine', PY: '3.10' })
    const jobs = [...world.box(box.id).jobs.values()].map(({ job }) => job)
    expect(jobs.find(({ label }) => label === 'task test')).toMatchObject({ cwd: '/home/agent/project/packages/a' })
    expect(jobs.find(({ label }) => label === 'service web')).toMatchObject({ cwd: '/home/agent/project/web' })
    expect(world.logs.get(box.id)).toContain('── task test\nran bash -c npm test')
  })

  test.each([
    ['a task', 'tasks: [good, { name: unit, run: bad }, never]', /bash -c bad/, 'task_failed', 'task unit'],
    ['a hook', 'hooks: { onStart: [{ name: h, run: bad }] }', /bash -c bad/, 'task_failed', 'onStart h'],
    ['a service that ends', 'services: { db: bad }', /bash -c bad/, 'service_failed', 'service db'],
  ])('%s that fails keeps the box and says where to look', async (_, yml, match, expected, step) => {
    withConfig(yml)
    world.command(match, 3, 'it broke\n')
    await expect(create()).rejects.toMatchObject({
      code: expected,
      hint: expect.stringContaining('gibil shell w'),
      details: { step, log: expect.stringContaining('it broke'), name: 'w' },
    })
    expect(await world.plane.get('w')).toMatchObject({
      status: 'running',
      readiness: 'failed',
      failure: { code: expected, step },
    })
    expect(lines()).not.toContain('bash -c never')
    await expect(world.plane.wait('w', 'ready')).rejects.toEqual(code(expected))
    expect(await world.plane.wait('w', 'running')).toMatchObject({ status: 'running' })
    const page = await world.plane.setupLog('w', 0, 100_000)
    expect(page.text).toContain('it broke')
    expect(await world.plane.setupLog('w', page.nextOffset, 100)).toMatchObject({ text: '', done: true })
  })

  test('a service that failed is tried again by a restart, and then what comes after it', async () => {
    withConfig('services: { db: bad }\ntasks: [once]')
    world.command(/bash -c bad/, 1)
    await expect(create()).rejects.toEqual(code('service_failed'))
    world.host.commands.length = 0
    world.command(/bash -c bad/, 'hangs')
    await world.plane.restart('w')
    expect(await world.clock.until(world.plane.wait('w', 'ready'))).toMatchObject({ readiness: 'ready', failure: null })
    expect(lines().filter((line) => line === 'bash -c once')).toHaveLength(1)
  })

  test('a task that failed is not run again by a restart', async () => {
    withConfig('tasks: [bad]')
    world.command(/bash -c bad/, 1)
    await expect(create()).rejects.toEqual(code('task_failed'))
    await world.plane.restart('w')
    expect(await world.plane.get('w')).toMatchObject({
      status: 'running',
      readiness: 'failed',
      failure: { step: 'task bad' },
    })
    expect(lines().filter((line) => line === 'bash -c bad')).toHaveLength(1)
  })

  test('a service that is not ready in time fails, whatever the check', async () => {
    for (const ready of ['port: 1', 'command: no', 'http: "http://localhost:1/x"', 'log: "up and running"']) {
      withConfig(`services: { s: { command: serve, ready: { ${ready}, timeout: 3s } } }`)
      world.command(/serve/, 'hangs')
      world.command(/bash -c no/, 1)
      const begin = world.clock.now()
      await expect(create()).rejects.toEqual(code('service_failed'))
      expect(world.clock.now() - begin).toBeLessThan(5000)
      await world.plane.destroy('w')
    }
  })

  test('a service that answers HTTP, or has printed the text, is ready', async () => {
    withConfig(
      'services: { a: { command: serve, ready: { http: "http://localhost:80/" } }, b: { command: talk, ready: { log: hello } } }',
    )
    world.command(/serve/, 'hangs')
    world.host.ports.add(80)
    world.host.commands.push({
      match: /talk/,
      act: async (box) => {
        const job = [...box.jobs.values()].at(-1)
        if (job) job.output = 'well, hello'
        return new Promise<never>(() => undefined)
      },
    })
    expect(await create()).toMatchObject({ readiness: 'ready' })
  })

  test.each([
    ['tasks: [', 'invalid_config'],
    ['taks: [a]', 'invalid_config'],
    ['image: nope', 'image_not_found'],
    ['ttl: 999d', 'lease_out_of_range'],
    ['shape: vm', 'unsupported_by_shape'],
    ['services: { db: { image: postgres } }', 'unsupported_by_shape'],
    ['services: [postgres]', 'unsupported_by_shape'],
    ['runtime: { node: 24 }', 'invalid_config'],
    ['runtime: { go: "1.22" }', 'invalid_config'],
  ])('%s is refused before anything runs, and nothing is left', async (yml, expected) => {
    withConfig(yml)
    world.command(/^node --version/, 0, 'v22.1.0\n')
    world.command(/^go version/, 127)
    await expect(create()).rejects.toEqual(code(expected))
    expect(world.host.boxes.size).toBe(0)
    expect(await world.plane.list()).toEqual([])
  })

  test('another image or size makes the box anew before anything runs in it', async () => {
    withConfig('image: other\nmemory: 512M\ntasks: [one]')
    const box = await create()
    expect(box).toMatchObject({ image: 'other', size: { cpu: 2, memoryMib: 512 }, readiness: 'ready' })
    expect(world.box(box.id).spec).toMatchObject({ image: { digest: 'sha256:other' }, size: { memoryMib: 512 } })
    expect(lines().filter((line) => line === 'bash -c one')).toHaveLength(1)
    expect(lines().filter((line) => line.startsWith('git clone'))).toHaveLength(2)
  })

  test('the token is there for the second clone, too', async () => {
    withConfig('image: other')
    await create({ repo: { url, token: 'ghp_verysecret' } })
    const clones = world.host.ran.filter(({ line }) => line.startsWith('git clone'))
    expect(clones.map(({ env }) => env['GIT_CONFIG_COUNT'])).toEqual(['1', '1'])
  })

  test('what the caller named himself wins', async () => {
    withConfig('image: other\nsize: large\nttl: 2h\nidle: 5m\nonExpire: stop')
    const box = await create({ image: 'base', size: 'small', ttl: '10m', idle: '1m', onExpire: 'destroy' })
    expect(box).toMatchObject({
      image: 'base',
      size: { memoryMib: 4096 },
      lease: { ttlSeconds: 600, idleSeconds: 60, onExpire: 'destroy' },
    })
    expect(lines().filter((line) => line.startsWith('git clone'))).toHaveLength(1)
  })

  test('services and onStart run at each start, tasks do not', async () => {
    withConfig('services: { s: serve }\ntasks: [once]\nhooks: { onCreate: first, onStart: each }')
    world.command(/serve/, 'hangs')
    await create()
    await world.plane.stopBox('w')
    world.host.ran.length = 0
    await world.plane.startBox('w')
    expect(await world.clock.until(world.plane.wait('w', 'ready'))).toMatchObject({ readiness: 'ready' })
    expect(lines()).toEqual(['bash -c serve', 'bash -c each'])
  })
})

describe('set-up meets other verbs', () => {
  beforeEach(() => {
    withConfig('tasks: [{ name: long, run: sleep }]')
    world.command(/bash -c sleep/, 'hangs')
  })

  test('wait=running answers while tasks run', async () => {
    expect(await create({ wait: 'running' })).toMatchObject({ status: 'running' })
  })

  test('destroy ends it', async () => {
    const creating = world.plane.create({ name: 'w', repo: { url } })
    const outcome = expect(creating).rejects.toEqual(code('wrong_state'))
    await world.clock.settle()
    expect(await world.plane.get('w')).toMatchObject({ readiness: 'tasks' })
    await world.plane.destroy('w')
    await outcome
    expect(world.host.boxes.size).toBe(0)
    expect(world.logs.size).toBe(0)
  })

  test('stop ends it, and the box is kept as failed', async () => {
    await create({ wait: 'running' })
    await world.clock.settle()
    await world.plane.stopBox('w')
    expect(await world.plane.get('w')).toMatchObject({
      status: 'stopped',
      readiness: 'failed',
      failure: { code: 'interrupted' },
    })
  })

  test('pause is refused meanwhile', async () => {
    await create({ wait: 'running' })
    await world.clock.settle()
    await expect(world.plane.pause('w')).rejects.toEqual(code('wrong_state'))
  })

  test('a box that ends during a task fails with the reason, and runs again', async () => {
    const { id } = await create({ wait: 'running' })
    await world.clock.settle()
    world.driver.kill(id, 'out of memory')
    await world.clock.advance(5000)
    expect(await world.plane.get('w')).toMatchObject({ status: 'running', readiness: 'failed' })
  })
})

describe('upload', () => {
  const tar = (files: Record<string, string>) => Readable.from([JSON.stringify(files)])

  test('is waited for, then set-up goes on', async () => {
    const ready = world.plane.create({ name: 'w', repo: { upload: true, source: '/home/me/x' } })
    await world.clock.settle()
    expect(await world.plane.get('w')).toMatchObject({ readiness: 'cloning', repo: { source: '/home/me/x' } })
    await world.plane.uploadRepo('w', tar({ '.gibil.yml': 'tasks: [npm ci]', a: '1' }))
    const box = await world.clock.until(ready)
    expect(box.readiness).toBe('ready')
    expect(world.box(box.id).disk.get('/home/agent/project/a')).toBe('1')
    expect(lines()).toContain('bash -c npm ci')
    await expect(world.plane.uploadRepo('w', tar({}))).rejects.toEqual(code('wrong_state'))
  })

  test('that never comes ends the box', async () => {
    await create({ repo: { upload: true }, wait: 'running' })
    await world.clock.advance(601_000)
    expect(await world.plane.list()).toEqual([])
    expect(world.host.boxes.size).toBe(0)
  })

  test('that asks for another image is told to name it at create', async () => {
    await create({ repo: { upload: true }, wait: 'running' })
    await expect(world.plane.uploadRepo('w', tar({ '.gibil.yml': 'image: other' }))).rejects.toMatchObject({
      code: 'invalid_config',
      hint: expect.stringContaining('--image other'),
    })
    await world.clock.settle()
    expect(world.host.boxes.size).toBe(0)
  })

  test('to a box that announced none is refused', async () => {
    await create()
    await expect(world.plane.uploadRepo('w', tar({}))).rejects.toSatisfy((error) => GibilError.is(error))
  })
})
