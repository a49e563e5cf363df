import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tried } from '../../../test/support/full-form.ts'
import { steps } from '../src/steps.ts'
import { run } from './boxd-call.ts'
import { buildBinaries, leftovers, testRootfs } from './rig.ts'
import { eventually, openWorld, type World } from './world.ts'

let world: World
let failAt = ''
const seen = new Set<string>()
beforeAll(async () => {
  world = await openWorld({
    step: (name) => {
      seen.add(name)
      if (name === failAt) throw new Error(`made to fail at ${name}`)
    },
  })
})
afterAll(async () => {
  failAt = ''
  expect(await world.end()).toEqual([])
})

it('calls every step that it names', async () => {
  const spec = world.spec('all')
  await world.driver.create(spec)
  await world.driver.adapt?.(spec)
  await world.driver.stop('all', 1000)
  await world.driver.start(spec)
  await world.driver.snapshot?.('all', { id: 'saved', kind: 'disk' })
  await world.driver.restore?.(spec, 'saved')
  await world.driver.removeSnapshot?.('saved')
  await world.driver.destroy('all')
  expect([...seen].toSorted()).toEqual(Object.values(steps).flat().toSorted())
})

it.each(steps.create)('a create that fails at %s leaves nothing, and the next one works', async (name) => {
  failAt = name
  await expect(world.driver.create(world.spec('box'))).rejects.toMatchObject({ code: 'driver_failed' })
  failAt = ''
  expect(await leftovers(world.home)).toEqual([])
  expect(await world.driver.list()).toEqual([])
})

it.each(steps.adapt)('a box whose adapt fails at %s is made anew by create', async (name) => {
  await world.driver.create(world.spec('box', { hostname: 'spare' }))
  const spec = world.spec('box', { hostname: 'asked', network: 'none' })
  failAt = name
  await expect(world.driver.adapt?.(spec)).rejects.toMatchObject({ code: 'driver_failed' })
  failAt = ''
  await world.driver.create(spec)
  expect((await run(world.driver, 'box', 'hostname; cat /etc/hostname')).output).toBe('asked\nasked\n')
  await world.driver.destroy('box')
  expect(await leftovers(world.home)).toEqual([])
})

it.each(steps.start)('a start that fails at %s leaves a stopped box that starts', async (name) => {
  const spec = world.spec('box')
  await world.driver.create(spec)
  await run(world.driver, 'box', 'echo kept > /file')
  await world.driver.stop('box', 1000)
  failAt = name
  await expect(world.driver.start(spec)).rejects.toThrow()
  failAt = ''
  expect(await world.driver.inspect('box')).toMatchObject({ status: 'stopped' })
  await world.driver.start(spec)
  expect((await run(world.driver, 'box', 'cat /file')).output).toBe('kept\n')
  await world.driver.destroy('box')
  expect(await leftovers(world.home)).toEqual([])
})

it.each(steps.snapshot)('a snapshot that fails at %s leaves nothing, and the box goes on', async (name) => {
  await world.driver.create(world.spec('box'))
  failAt = name
  await expect(world.driver.snapshot?.('box', { id: 'saved', kind: 'disk' })).rejects.toThrow()
  failAt = ''
  expect(await world.driver.listSnapshots?.()).toEqual([])
  expect((await run(world.driver, 'box', 'echo on > /file; cat /file')).output).toBe('on\n')
  await world.driver.snapshot?.('box', { id: 'saved', kind: 'disk' })
  await world.driver.removeSnapshot?.('saved')
  await world.driver.destroy('box')
  expect(await leftovers(world.home)).toEqual([])
})

it.each(steps.restore)('a restore that fails at %s leaves the box with the disk that it had', async (name) => {
  const spec = world.spec('box')
  await world.driver.create(spec)
  await run(world.driver, 'box', 'echo one > /file')
  await world.driver.snapshot?.('box', { id: 'saved', kind: 'disk' })
  await run(world.driver, 'box', 'echo two > /file; sync')
  failAt = name
  await expect(world.driver.restore?.(spec, 'saved')).rejects.toThrow()
  failAt = ''
  await world.driver.start(spec)
  // Only at its very end is it done.
  expect((await run(world.driver, 'box', 'cat /file')).output).toBe(name === 'restore.end' ? 'one\n' : 'two\n')
  await world.driver.restore?.(spec, 'saved')
  expect((await run(world.driver, 'box', 'cat /file')).output).toBe('one\n')
  await world.driver.destroy('box')
  await world.driver.removeSnapshot?.('saved')
  expect(await leftovers(world.home)).toEqual([])
})

it.each(steps.remove)('a removal of a snapshot that fails at %s can be repeated', async (name) => {
  await world.driver.create(world.spec('box'))
  await world.driver.snapshot?.('box', { id: 'saved', kind: 'disk' })
  failAt = name
  await expect(world.driver.removeSnapshot?.('saved')).rejects.toThrow()
  failAt = ''
  await world.driver.removeSnapshot?.('saved')
  expect(await world.driver.listSnapshots?.()).toEqual([])
  expect(await readdir(join(world.home, 'snapshots'))).toEqual([])
  await world.driver.destroy('box')
})

it.each([...steps.stop, ...steps.destroy])('an end that fails at %s can be repeated', async (name) => {
  await world.driver.create(world.spec('box'))
  failAt = name
  const verb = name.startsWith('stop') ? world.driver.stop('box', 200) : world.driver.destroy('box')
  await expect(verb).rejects.toThrow()
  failAt = ''
  await world.driver.destroy('box')
  expect(await leftovers(world.home)).toEqual([])
})

/** A daemon of its own that is killed at a step, as by SIGKILL: nothing of ours runs after that. */
async function killedAt(
  home: string,
  verb: 'create' | 'adapt' | 'start' | 'stop' | 'destroy' | 'snapshot' | 'restore',
  name: string,
): Promise<void> {
  const binaries = await buildBinaries()
  const options = { home, ...binaries, rootfs: await testRootfs(), verb, name }
  const script = join(import.meta.dirname, 'killed-daemon.ts')
  const child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'pipe'] })
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString()
  })
  const [, signal] = await once(child, 'close')
  if (signal !== 'SIGKILL') throw new Error(`the daemon was not killed at ${name}: ${complaint}`)
}

describe('a daemon that is killed', () => {
  it.each(tried(steps.create))(
    'at %s leaves a box that is whole or can be taken away without a trace',
    async (name) => {
      await killedAt(world.home, 'create', name)
      world = await world.reopen()
      const found = await world.driver.inspect('box')
      if (found?.status === 'running') {
        await eventually('it answers', async () => (await run(world.driver, 'box', 'echo ok')).output === 'ok\n')
      } else if (found !== undefined) {
        expect(found.status).toBe('partial')
      }
      await world.driver.destroy('box')
      expect(await leftovers(world.home)).toEqual([])
    },
  )

  it.each(['create.disk-mount', 'create.overlay', 'create.made'] as const)(
    'at %s can create the same box again',
    async (name) => {
      await killedAt(world.home, 'create', name)
      world = await world.reopen()
      await world.driver.create(world.spec('box'))
      expect((await run(world.driver, 'box', 'echo kept > /file; echo ok')).output).toBe('ok\n')
      // It is a whole one, which can be stopped and started.
      await world.driver.stop('box', 200)
      await world.driver.start(world.spec('box'))
      expect((await run(world.driver, 'box', 'cat /file')).output).toBe('kept\n')
      await world.driver.destroy('box')
      expect(await leftovers(world.home)).toEqual([])
    },
  )

  it.each(tried(steps.adapt))('at %s leaves a box that the next create makes as it was asked for', async (name) => {
    await killedAt(world.home, 'adapt', name)
    world = await world.reopen()
    await world.driver.create(world.spec('box', { hostname: 'asked', network: 'lan' }))
    expect((await run(world.driver, 'box', 'hostname; cat /etc/hostname')).output).toBe('asked\nasked\n')
    await world.driver.destroy('box')
    expect(await leftovers(world.home)).toEqual([])
  })

  it.each(tried([...steps.start, ...steps.stop]))('at %s leaves a box that can be started', async (name) => {
    await killedAt(world.home, name.startsWith('start') ? 'start' : 'stop', name)
    world = await world.reopen()
    await world.driver.start(world.spec('box'))
    expect((await run(world.driver, 'box', 'cat /file')).output).toBe('kept\n')
    await world.driver.destroy('box')
    expect(await leftovers(world.home)).toEqual([])
  })

  it.each(tried(steps.snapshot))(
    'at %s leaves a box that goes on, and a snapshot that is whole or none',
    async (name) => {
      await killedAt(world.home, 'snapshot', name)
      world = await world.reopen()
      expect((await run(world.driver, 'box', 'echo on > /file; cat /file')).output).toBe('on\n')
      expect(await world.driver.listSnapshots?.()).toHaveLength(name === 'snapshot.end' ? 1 : 0)
      await world.driver.snapshot?.('box', { id: 'saved', kind: 'disk' })
      await world.driver.removeSnapshot?.('saved')
      expect(await readdir(join(world.home, 'snapshots'))).toEqual([])
      await world.driver.destroy('box')
      expect(await leftovers(world.home)).toEqual([])
    },
  )

  it.each(tried(steps.restore))('at %s leaves a box that can be started or restored', async (name) => {
    for (const again of [false, true]) {
      await killedAt(world.home, 'restore', name)
      world = await world.reopen()
      const spec = world.spec('box')
      if (again) await world.driver.restore?.(spec, 'saved')
      else await world.driver.start(spec)
      const done = again || name === 'restore.made' || name === 'restore.end'
      expect((await run(world.driver, 'box', 'cat /file')).output).toBe(done ? 'kept\n' : 'changed\n')
      await world.driver.removeSnapshot?.('saved')
      await world.driver.destroy('box')
      expect(await leftovers(world.home)).toEqual([])
    }
  })

  it.each(tried(steps.destroy))('at %s leaves what the next destroy takes away', async (name) => {
    await killedAt(world.home, 'destroy', name)
    world = await world.reopen()
    for (const box of await world.driver.list()) await world.driver.destroy(box.id)
    expect(await leftovers(world.home)).toEqual([])
  })
})

it('leaves no home behind', async () => {
  expect(await leftovers(world.home)).toEqual([])
  await rm(join(world.home, 'cache'), { recursive: true, force: true })
  await world.driver.create(world.spec('again'))
  await world.driver.destroy('again')
})
