import { open, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DriverSpec } from '@gibil/core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { microvmNames } from '../src/names.ts'
import { steps } from '../src/steps.ts'
import { openWorld, type World } from './world.ts'

const bootMs = 240_000
const counts = '(i=0; while true; do i=$((i+1)); echo $i >>/tmp/count; sleep 0.02; done) >/dev/null 2>&1 &'
const facts = 'hostname; cat /etc/machine-id; head -c 16 /dev/urandom | od -An -tx1 | tr -d " "'

describe('snapshots and forks', { timeout: bootMs }, () => {
  let world: World
  let failAt = ''
  beforeAll(async () => {
    world = await openWorld({
      step: (name) => {
        if (name === failAt) throw new Error(`fails at ${name}`)
      },
    })
    await world.driver.create(world.spec('one'))
  }, 2 * bootMs)
  afterEach(() => {
    failAt = ''
  })
  afterAll(async () => {
    for (const { id } of (await world.driver.listSnapshots?.()) ?? []) await world.driver.removeSnapshot?.(id)
    expect(await world.end()).toEqual([])
  }, bootMs)

  const snapshots = async (): Promise<string[]> =>
    ((await world.driver.listSnapshots?.()) ?? []).map(({ id }) => id).sort()
  const directories = (): Promise<string[]> => readdir(join(microvmNames(world.home).home, 'snapshots'))
  const take = async (box: string, id: string, kind: 'disk' | 'disk+memory'): Promise<number> =>
    (await world.driver.snapshot?.(box, { id, kind }))?.bytes ?? 0
  const restore = (spec: DriverSpec, id: string): Promise<unknown> =>
    world.driver.restore?.(spec, id) ?? Promise.reject(new Error('it cannot'))
  const count = async (id: string): Promise<number> => Number((await world.run(id, 'tail -n 1 /tmp/count')).trim())
  const addresses = async (): Promise<(string | null)[]> => (await world.driver.list()).map(({ address }) => address)

  it('lets a running program go on in the box and in each of three forks, which are boxes of their own', async () => {
    await world.run('one', `echo before > /file; ${counts} sleep 0.5`)
    const at = await count('one')
    const bytes = await take('one', 'first', 'disk+memory')
    expect(bytes).toBeGreaterThan(10 * 1024 ** 2)
    expect(await take('one', 'first', 'disk+memory')).toBe(bytes)
    await world.run('one', 'echo after > /file; sync')
    const forks = ['f1', 'f2', 'f3']
    await Promise.all(forks.map((id) => world.driver.create(world.spec(id, { from: 'first' }))))
    const seen = await Promise.all(['one', ...forks].map(async (id) => (await world.run(id, facts)).trim().split('\n')))
    expect(seen.map(([hostname]) => hostname)).toEqual(['one', ...forks])
    for (const index of [1, 2]) expect(new Set(seen.map((lines) => lines[index])).size).toBe(4)
    expect(new Set(await addresses()).size).toBe(4)
    for (const id of ['one', ...forks]) {
      const now = await count(id)
      expect(now).toBeGreaterThanOrEqual(at)
      await world.run(id, 'sleep 0.3')
      expect(await count(id)).toBeGreaterThan(now)
      expect(Math.abs(Number((await world.run(id, 'date +%s')).trim()) - Date.now() / 1000)).toBeLessThan(60)
    }
    expect((await world.run('f1', 'cat /file')).trim()).toBe('before')
    await world.run('f1', 'echo mine > /file; sync')
    expect((await world.run('f2', 'cat /file')).trim()).toBe('before')
    expect((await world.run('one', 'cat /file')).trim()).toBe('after')
    expect(world.logged.filter((line) => line.startsWith('warn'))).toEqual([])
  })

  it('keeps the disk of a snapshot that was removed until the last fork goes', async () => {
    await world.driver.removeSnapshot?.('first')
    expect(await snapshots()).toEqual([])
    expect(await directories()).toEqual(['first'])
    await expect(world.driver.create(world.spec('late', { from: 'first' }))).rejects.toThrow('no snapshot first')
    await world.driver.removeSnapshot?.('first')
    // A snapshot of a fork stands on the one that the fork began as.
    await take('f3', 'second', 'disk')
    for (const id of ['f2', 'f3']) await world.driver.destroy(id)
    await world.driver.stop('f1', 5000)
    await world.driver.start(world.spec('f1', { from: 'first' }))
    expect((await world.run('f1', 'cat /file')).trim()).toBe('mine')
    await world.driver.destroy('f1')
    expect((await directories()).sort()).toEqual(['first', 'second'])
    await world.driver.removeSnapshot?.('second')
    expect(await directories()).toEqual([])
    await world.driver.removeSnapshot?.('second')
  })

  it('holds on a disk alone what programs have written just before, and boots on it', async () => {
    await world.run('one', 'echo just now > /file')
    await take('one', 'disk', 'disk')
    await world.driver.create(world.spec('booted', { from: 'disk', size: { cpu: 1, memoryMib: 320, diskMib: 768 } }))
    expect((await world.run('booted', 'cat /file; hostname')).trim()).toBe('just now\nbooted')
    expect(await world.run('booted', 'ps')).not.toContain('sleep 0.02')
    await world.driver.destroy('booted')
    const small = world.spec('small', { from: 'disk', size: { cpu: 1, memoryMib: 256, diskMib: 256 } })
    await expect(world.driver.create(small)).rejects.toMatchObject({ code: 'invalid_size' })
  })

  it('is taken of a box that is paused or stopped, where it can be', async () => {
    await world.run('one', 'sync')
    await world.driver.pause('one')
    await take('one', 'asleep', 'disk+memory')
    expect(await world.driver.inspect('one')).toMatchObject({ status: 'paused' })
    const larger = world.spec('f4', { from: 'asleep', size: { cpu: 1, memoryMib: 512, diskMib: 512 } })
    await expect(world.driver.create(larger)).rejects.toMatchObject({ code: 'invalid_size' })
    await world.driver.create(world.spec('f4', { from: 'asleep' }))
    const before = await count('f4')
    await world.run('f4', 'sleep 0.3')
    expect(await count('f4')).toBeGreaterThan(before)
    await world.driver.stop('f4', 0)
    await expect(take('f4', 'none', 'disk+memory')).rejects.toMatchObject({ code: 'wrong_state' })
    await take('f4', 'stopped', 'disk')
    await world.driver.destroy('f4')
    await world.driver.resume('one')
    expect(await snapshots()).toEqual(['asleep', 'disk', 'stopped'])
    for (const id of ['disk', 'stopped']) await world.driver.removeSnapshot?.(id)
  })

  it('puts a box back: its disk, its programs, its name', async () => {
    await world.run('one', 'echo wrong > /file; rm -f /bin/nc; sync')
    const at = await count('one')
    const address = (await world.driver.inspect('one'))?.address
    await restore(world.spec('one'), 'asleep')
    expect((await world.run('one', 'cat /file; hostname; ls /bin/nc')).trim()).toBe('just now\none\n/bin/nc')
    expect(await count('one')).toBeLessThan(at + 1000)
    expect((await world.driver.inspect('one'))?.address).toBe(address)
    const kept = await readdir(join(microvmNames(world.home).boxesDir, 'one'))
    expect(kept.filter((name) => name.endsWith('.qcow2'))).toHaveLength(1)
    expect(world.exits).toEqual([])
    world = await world.reopen()
    await world.driver.stop('one', 5000)
    await world.driver.start(world.spec('one'))
    expect((await world.run('one', `cat /file; ${counts} sleep 0.3`)).trim()).toBe('just now')
  })

  it.each(steps.restore.filter((name) => name !== 'restore.end'))(
    'goes on as it was when a restore fails at %s',
    async (name) => {
      await world.run('one', 'echo kept > /kept')
      const before = await count('one')
      failAt = name
      await expect(restore(world.spec('one'), 'asleep')).rejects.toThrow()
      failAt = ''
      expect(await world.driver.inspect('one')).toMatchObject({ status: 'running' })
      await expect.poll(() => count('one')).toBeGreaterThan(before)
      expect((await world.run('one', 'cat /kept; sleep 0.1')).trim()).toBe('kept')
    },
  )

  it.each(steps.snapshot.filter((name) => name !== 'snapshot.end'))(
    'leaves nothing when it fails at %s, and the box goes on',
    async (name) => {
      const before = await count('one')
      failAt = name
      await expect(take('one', 'broken', 'disk+memory')).rejects.toThrow()
      failAt = ''
      expect(await directories()).toEqual(['asleep'])
      await world.run('one', 'sleep 0.2')
      await expect.poll(() => count('one')).toBeGreaterThan(before)
    },
  )

  it('is removed by another try when the first was cut off', async () => {
    await take('one', 'gone', 'disk')
    for (const name of steps.removeSnapshot) {
      failAt = name
      await expect(world.driver.removeSnapshot?.('gone')).rejects.toThrow()
    }
    failAt = ''
    await world.driver.removeSnapshot?.('gone')
    expect(await directories()).toEqual(['asleep'])
    // What was never finished goes when the driver is opened.
    await writeFile(join(microvmNames(world.home).home, 'snapshots', 'asleep', 'x'), '')
    world = await world.reopen()
    expect(await snapshots()).toEqual(['asleep'])
  })

  it('leaves nothing of a fork whose snapshot is damaged, and says so', async () => {
    const path = join(microvmNames(world.home).home, 'snapshots', 'asleep')
    const file = await open(join(path, 'memory'), 'r+')
    await file.write(Buffer.from('damaged'), 0, 7, 1024 ** 2)
    await file.close()
    await expect(world.driver.create(world.spec('f5', { from: 'asleep' }))).rejects.toThrow('damaged')
    expect((await world.driver.list()).map(({ id }) => id)).toEqual(['one'])
    expect(JSON.parse(await readFile(join(path, 'snapshot.json'), 'utf8'))).toMatchObject({ phase: 'made' })
  })
})
