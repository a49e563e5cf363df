import { existsSync, readFileSync } from 'node:fs'
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { tried } from '../../../test/support/full-form.ts'
import { leftovers, sh } from '../../driver-container/test/rig.ts'
import { boxPaths, microvmNames } from '../src/names.ts'
import { withMonitor } from '../src/qmp.ts'
import { steps } from '../src/steps.ts'
import { onSmallDisk } from './small-disk.ts'
import { openWorld, type World } from './world.ts'

const bootMs = 240_000

/** A program that counts into a file that it keeps open, and two that talk over TCP. */
const programs = `
  (exec 7>/tmp/count; i=0; while true; do i=$((i+1)); echo $i >&7; sleep 0.02; done) >/dev/null 2>&1 &
  (i=0; while true; do i=$((i+1)); echo $i; sleep 0.02; done | nc -l -p 7000) >/dev/null 2>&1 &
  (sleep 0.5; nc 127.0.0.1 7000 </dev/zero >/tmp/heard) >/dev/null 2>&1 &
  sleep 1.5`

describe('a box that is paused', { timeout: bootMs }, () => {
  let world: World
  let failAt = ''
  let killAt = ''
  beforeAll(async () => {
    world = await openWorld({
      step: (name) => {
        if (name === killAt) process.kill(Number(readFileSync(kept().pidFile, 'utf8')), 'SIGKILL')
        if (name === failAt || name === killAt) throw new Error(`fails at ${name}`)
      },
    })
    await world.driver.create(world.spec('one'))
  }, 2 * bootMs)
  afterEach(() => {
    failAt = ''
  })
  afterAll(async () => {
    expect(await world.end()).toEqual([])
  }, bootMs)

  const kept = (): ReturnType<typeof boxPaths> => boxPaths(microvmNames(world.home), 'one')
  const status = async (): Promise<string | undefined> => (await world.driver.inspect('one'))?.status
  const last = async (file: string): Promise<number> => Number((await world.run('one', `tail -n 1 ${file}`)).trim())
  /** Both programs have gone on since they had come so far. */
  const goesOn = async (from: { count: number; heard: number }): Promise<void> => {
    await world.run('one', 'sleep 0.5')
    expect(await last('/tmp/count')).toBeGreaterThan(from.count)
    expect(await last('/tmp/heard')).toBeGreaterThan(from.heard)
  }
  const progress = async (): Promise<{ count: number; heard: number }> => ({
    count: await last('/tmp/count'),
    heard: await last('/tmp/heard'),
  })
  /** The hardware address with which the gateway answers who asks for it anew. */
  const gatewaySeen = async (): Promise<string> => {
    const ask = 'ip neigh flush all; to=$(ip route | cut -d" " -f3 | head -n 1); (exec 3<>/dev/tcp/$to/9) 2>&-'
    const table = await world.run('one', `bash -c '${ask}; cat /proc/net/arp'`)
    return /(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/.exec(table)?.[0] ?? table
  }

  it('takes no process and no memory, and goes on where it was: programs, open files, connections', async () => {
    await world.run('one', programs)
    const before = await progress()
    expect(before.heard).toBeGreaterThan(0)
    const gateway = await gatewaySeen()
    expect(gateway).toMatch(/^02(:[0-9a-f]{2}){5}$/)
    await world.driver.pause('one')
    expect(await status()).toBe('paused')
    // Nothing of it runs or lies in memory: all that is left is files in the home.
    expect(await leftovers(join(world.home, 'microvm'))).toEqual([`directory ${kept().kept}`])
    await expect(world.driver.dial('one')).rejects.toMatchObject({ code: 'boxd_unreachable' })
    await world.driver.resume('one')
    expect(await status()).toBe('running')
    await goesOn(before)
    // It goes on sending to the one that it remembers.
    expect(await gatewaySeen()).toBe(gateway)
    // No copy of its memory is kept once it runs.
    expect((await readdir(kept().kept)).sort()).toEqual(['box.json', 'root.qcow2'])
    const now = Number((await world.run('one', 'date +%s')).trim())
    expect(Math.abs(now - Date.now() / 1000)).toBeLessThan(60)
  })

  it('is paused for a daemon that is started anew, whatever ended the one before, and goes on with it', async () => {
    const before = await progress()
    // As if it had slept for years.
    await world.run('one', 'date -s "2021-01-01 00:00:00"')
    await world.driver.pause('one')
    world = await world.reopen()
    expect(await status()).toBe('paused')
    expect(world.exits).toEqual([])
    await world.driver.resume('one')
    await goesOn(before)
    expect(Math.abs(Number((await world.run('one', 'date +%s')).trim()) - Date.now() / 1000)).toBeLessThan(60)
  })

  it('is resumed once when two ask, and destroyed or stopped by who comes after', async () => {
    const before = await progress()
    await world.driver.pause('one')
    await Promise.all([world.driver.resume('one'), world.driver.resume('one'), world.driver.pause('one')])
    await Promise.all([world.driver.resume('one'), world.driver.start(world.spec('one'))])
    expect(await status()).toBe('running')
    await goesOn(before)
    expect(world.exits).toEqual([])
  })

  it.each(['pause.save', 'pause.mark'])('runs on when its pause fails at %s', async (name) => {
    const before = await progress()
    failAt = name
    await expect(world.driver.pause('one')).rejects.toThrow()
    expect(await status()).toBe('running')
    expect((await readdir(kept().kept)).sort()).toEqual(['box.json', 'root.qcow2'])
    await goesOn(before)
  })

  it.each(tried(steps.pause.filter((name) => !['pause.save', 'pause.mark'].includes(name))))(
    'is paused when its pause was cut off at %s, and goes on once',
    async (name) => {
      const before = await progress()
      failAt = name
      await expect(world.driver.pause('one')).rejects.toThrow()
      failAt = ''
      expect(await status()).toBe('paused')
      world = await world.reopen()
      await world.driver.pause('one')
      expect(await leftovers(join(world.home, 'microvm'))).toEqual([`directory ${kept().kept}`])
      await world.driver.resume('one')
      await goesOn(before)
    },
  )

  it.each(['resume.clear', 'resume.run-dir', 'resume.machine', 'resume.mark'])(
    'stays paused when its resume fails at %s',
    async (name) => {
      const before = await progress()
      await world.driver.pause('one')
      failAt = name
      await expect(world.driver.resume('one')).rejects.toThrow()
      failAt = ''
      expect(await status()).toBe('paused')
      expect(await leftovers(join(world.home, 'microvm'))).toEqual([`directory ${kept().kept}`])
      await world.driver.resume('one')
      await goesOn(before)
    },
  )

  it('runs when its resume fails after its programs went on', async () => {
    const before = await progress()
    await world.driver.pause('one')
    failAt = 'resume.identity'
    await expect(world.driver.resume('one')).rejects.toThrow()
    failAt = ''
    expect(await status()).toBe('running')
    await world.driver.resume('one')
    await goesOn(before)
  })

  it('runs on when the place of its memory is not known', async () => {
    const before = await progress()
    const region = await readFile(kept().region, 'utf8')
    await writeFile(kept().region, 'damaged')
    await expect(world.driver.pause('one')).rejects.toMatchObject({ code: 'driver_failed' })
    await writeFile(kept().region, region)
    expect(await status()).toBe('running')
    await goesOn(before)
  })

  it('runs on when the disk of the host is full', async () => {
    const boxes = microvmNames(world.home).boxesDir
    await world.driver.create(world.spec('crowded', { network: 'none' }))
    await world.driver.stop('crowded', 5000)
    {
      await using disk = await onSmallDisk(boxPaths(microvmNames(world.home), 'crowded').kept)
      await world.driver.start(world.spec('crowded', { network: 'none' }))
      await disk.leave(20_000)
      const free = await disk.freeKib()
      await expect(world.driver.pause('crowded')).rejects.toMatchObject({ code: 'disk_full' })
      expect(await world.driver.inspect('crowded')).toMatchObject({ status: 'running' })
      expect((await world.run('crowded', 'hostname')).trim()).toBe('crowded')
      // Not a block of what was written by then.
      expect(await disk.freeKib()).toBeGreaterThan(free - 4096)
      await disk.widen()
      await world.driver.pause('crowded')
      await world.driver.resume('crowded')
      expect((await world.run('crowded', 'hostname')).trim()).toBe('crowded')
      await world.driver.stop('crowded', 0)
    }
    await world.driver.destroy('crowded')
    expect(await readdir(boxes)).toEqual(['one'])
  })

  it('ends as any other when QEMU is killed while it is saved, and starts on its disk', async () => {
    await world.run('one', 'echo kept > /kept; sync')
    killAt = 'pause.mark'
    await expect(world.driver.pause('one')).rejects.toThrow()
    killAt = ''
    await expect.poll(() => world.exits).toEqual(['one'])
    expect(await world.driver.inspect('one')).toMatchObject({ status: 'stopped', reason: 'ended' })
    await world.driver.start(world.spec('one'))
    expect(await world.run('one', `cat /kept; ${programs}`)).toBe('kept\n')
  })

  it('is brought to an end by who comes after one that was killed with all that it started', async () => {
    const before = await progress()
    // What stands still and is not paused: the daemon was killed in the middle.
    await withMonitor(kept().monitor, (monitor) => monitor.run('stop'))
    world = await world.reopen()
    await goesOn(before)
    // And hostkit alone.
    const pause = world.driver.pause('one')
    await sh(`kill -9 ${(await world.hostkit.ping()).pid}`)
    await pause.catch(() => undefined)
    if ((await status()) === 'paused') await world.driver.resume('one')
    await goesOn(before)
  })

  it('says that what was saved is damaged, stays as it is, and starts without its memory after a stop', async () => {
    await world.run('one', 'echo kept > /kept; sync')
    await world.driver.pause('one')
    const [directory = ''] = (await readdir(kept().kept)).filter((name) => name.startsWith('paused-'))
    for (const file of ['memory', 'state']) {
      const path = join(kept().kept, directory, file)
      const whole = await readFile(path)
      await truncate(path, whole.length - 4096)
      await truncate(path, whole.length)
      const at = whole.findIndex((byte) => byte !== 0)
      const broken = Buffer.from(whole)
      broken[at] = (broken[at] ?? 0) ^ 1
      await writeFile(path, broken)
      await expect(world.driver.resume('one')).rejects.toMatchObject({
        code: 'driver_failed',
        message: expect.stringContaining('damaged'),
        hint: expect.stringContaining('gibil stop'),
      })
      expect(await status()).toBe('paused')
      await writeFile(path, whole)
    }
    await writeFile(join(kept().kept, directory, 'state'), 'damaged')
    await world.driver.stop('one', 5000)
    expect(await status()).toBe('stopped')
    expect(existsSync(join(kept().kept, directory))).toBe(false)
    await world.driver.start(world.spec('one'))
    expect(await world.run('one', 'cat /kept; ps')).toMatch(/^kept\n(?!.*nc -l)/s)
  })

  it('is ended gently when it is stopped while it is paused, and leaves nothing when it is destroyed', async () => {
    await world.run(
      'one',
      "(trap 'echo asked > /asked; sync; exit' TERM; while true; do sleep 0.1; done) >/dev/null 2>&1 &",
    )
    await world.driver.pause('one')
    await world.driver.stop('one', 5000)
    expect(await status()).toBe('stopped')
    await world.driver.start(world.spec('one'))
    expect(await world.run('one', 'cat /asked')).toBe('asked\n')
    await world.driver.pause('one')
    const [resumed] = await Promise.allSettled([world.driver.resume('one'), world.driver.destroy('one')])
    expect(resumed.status).toBe('fulfilled')
    expect(await world.driver.list()).toEqual([])
    expect(await leftovers(join(world.home, 'microvm'))).toEqual([])
  })
})
