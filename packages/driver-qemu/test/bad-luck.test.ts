import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Silence } from '@gibil/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { full } from '../../../test/support/full-form.ts'
import { leftovers } from '../../driver-container/test/rig.ts'
import { boxPaths, microvmNames } from '../src/names.ts'
import { narrow, tighten } from './memory-cgroup.ts'
import { putToSleep, type Sleeper, savedMemory, startHog, wake } from './sleepers.ts'
import { onSmallDisk } from './small-disk.ts'
import { openWorld, type World } from './world.ts'

const bootMs = 240_000
/** Takes all memory there is, 20 MB at a time. */
const hog = 'for ((i = 0; ; i++)); do printf -v "all$i" %20000000s; done'
const patient = { timeout: 90_000, interval: 100 }

describe('a microvm that has bad luck', { timeout: bootMs }, () => {
  let world: World
  const heard: { id: string; silence: Silence | null }[] = []
  const pidOf = async (id: string): Promise<number> =>
    Number((await readFile(join(microvmNames(world.home).runDir, 'boxes', id, 'pid'), 'utf8')).trim())
  /** A command that the guest does not live to answer. */
  const begin = async (id: string, command: string): Promise<void> => {
    await world
      .boxd(id)
      .startJob({ argv: ['/bin/bash', '-c', command], user: 'root', cwd: '/' })
      .catch(() => undefined)
  }
  /** A driver that is opened anew knows of no listener. */
  const listen = (): void => void world.driver.onSilence?.((id, silence) => heard.push({ id, silence }))
  const silences = (id: string) => heard.filter((one) => one.id === id).map(({ silence }) => silence)

  beforeAll(async () => {
    world = await openWorld()
    listen()
    await world.driver.create(world.spec('box'))
    await world.driver.create(world.spec('calm', { network: 'none' }))
  }, 2 * bootMs)
  afterAll(async () => {
    // One that was never silent was never told of, whatever happened beside it.
    expect(silences('calm').filter((silence) => silence !== null)).toEqual([])
    expect(await world.end()).toEqual([])
  }, bootMs)

  const startedAgain = async (): Promise<void> => {
    await world.driver.start(world.spec('box'))
    expect(await world.run('box', 'cat /kept')).toBe('kept\n')
  }

  it('whose kernel panics is seen to end, with its last words, and starts again on its disk', async () => {
    await world.run('box', 'echo kept > /kept; sync')
    const before = world.exits.length
    await begin('box', 'echo c > /proc/sysrq-trigger')
    await expect.poll(() => world.exits.slice(before), patient).toEqual(['box'])
    const found = await world.driver.inspect('box')
    expect(found).toMatchObject({ status: 'stopped', reason: 'its kernel panicked: sysrq triggered crash' })
    expect(found?.console).toContain('Kernel panic - not syncing: sysrq triggered crash')
    expect(found?.console?.length).toBeLessThanOrEqual(4096)
    expect(await world.driver.console?.('box')).toContain('sysrq: Trigger a crash')
    await startedAgain()
    expect(await world.driver.console?.('box')).not.toContain('sysrq')
  })

  it('whose QEMU is killed at its limit of memory is seen to end as out of memory', async () => {
    const before = world.exits.length
    // Its memory has to be new: what its guest has used once is taken already.
    await tighten(await pidOf('box'))
    await begin('box', hog)
    await expect.poll(() => world.exits.slice(before), patient).toEqual(['box'])
    expect(await world.driver.inspect('box')).toMatchObject({ status: 'stopped', reason: 'out of memory' })
    await startedAgain()
  })

  it('that is out of memory loses the hog, not itself, and its console says which', async () => {
    const eaten = world.run('box', hog)
    await expect(eaten).rejects.toThrow()
    expect(await world.run('box', 'echo alive')).toBe('alive\n')
    await expect.poll(() => world.driver.console?.('box'), patient).toMatch(/Out of memory: Killed process \d+ \(/)
    expect(await world.driver.inspect('box')).toMatchObject({ status: 'running' })
  })

  it.runIf(full)('whose memory its kernel cannot find is seen to end as out of memory', async () => {
    const before = world.exits.length
    // Nothing may be killed instead: the kernel panics, as it does when nothing is left to kill.
    await begin('box', `echo 1 > /proc/sys/vm/panic_on_oom; ${hog}`)
    await expect.poll(() => world.exits.slice(before), patient).toEqual(['box'])
    expect(await world.driver.inspect('box')).toMatchObject({
      status: 'stopped',
      reason: 'out of memory in its kernel',
    })
    await startedAgain()
  })

  it('that hangs is told of while it does, and no longer once it answers', async () => {
    const pid = await pidOf('box')
    const begun = performance.now()
    process.kill(pid, 'SIGSTOP')
    try {
      await expect.poll(() => silences('box').length, patient).toBeGreaterThan(0)
      expect(silences('box')[0]?.forMs).toBeLessThanOrEqual(performance.now() - begun + 2500)
      await expect.poll(() => silences('box').at(-1)?.forMs, patient).toBeGreaterThan(6000)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await expect.poll(() => silences('box').at(-1), patient).toBeNull()
    expect(await world.run('box', 'echo alive')).toBe('alive\n')
  })

  it('that hangs is ended at once by a stop without a grace, and starts again on its disk', async () => {
    process.kill(await pidOf('box'), 'SIGSTOP')
    await world.driver.stop('box', 0)
    expect(await world.driver.inspect('box')).toEqual({ id: 'box', status: 'stopped', address: expect.any(String) })
    await startedAgain()
  })

  it('whose boxd stands still while its kernel runs is told of', async () => {
    const before = heard.length
    const freeze = [
      'mount -t cgroup2 none /mnt',
      'mkdir /mnt/f',
      'echo 1 > /mnt/f/cgroup.procs',
      'echo 1 > /mnt/f/cgroup.freeze',
    ]
    await begin('box', `mkdir -p /mnt && ${freeze.join(' && ')}`)
    await expect.poll(() => heard.slice(before).find(({ id }) => id === 'box')?.silence, patient).toBeTruthy()
    await world.driver.stop('box', 0)
    await startedAgain()
  })

  it.runIf(full)('that is paused is not asked, nor one that an earlier daemon had paused', async () => {
    await world.driver.pause('box')
    const before = heard.length
    await sleep(6000)
    expect(heard.slice(before)).toEqual([])
    world = await world.reopen()
    listen()
    const silent = () => heard.slice(before).flatMap(({ id, silence }) => (silence ? [id] : []))
    await sleep(6000)
    expect(silent()).toEqual([])
    await world.driver.resume('box')
    process.kill(await pidOf('box'), 'SIGSTOP')
    await expect.poll(silent, patient).toContain('box')
    process.kill(await pidOf('box'), 'SIGCONT')
    expect(await world.run('box', 'echo alive')).toBe('alive\n')
  })

  it.runIf(full)(
    'whose disk finds no room on the host waits and says for what, and goes on by itself once there is some',
    async () => {
      const { kept } = boxPaths(microvmNames(world.home), 'full')
      await world.driver.create(world.spec('full'))
      await world.driver.pause('full')
      {
        await using disk = await onSmallDisk(kept)
        await world.driver.resume('full')
        await disk.leave(4096)
        await begin('full', 'head -c 12000000 /dev/urandom | tee /big | md5sum > /sum; sync; echo written > /done')
        const waits = { waitsFor: 'room on the disk of the host' }
        await expect.poll(() => silences('full').at(-1), patient).toMatchObject(waits)
        expect(await world.driver.inspect('full')).toMatchObject({ status: 'running' })
        // It is tried again and again, and a daemon that is started anew sees it too.
        const [before, calmBefore] = [silences('full').length, silences('calm').length]
        world = await world.reopen()
        listen()
        await expect.poll(() => silences('full').slice(before).length, patient).toBeGreaterThan(1)
        expect(silences('full').at(-1)).toMatchObject(waits)
        // What an earlier daemon may have told of those that answer is taken back.
        await expect.poll(() => silences('calm').slice(calmBefore), patient).toEqual([null])
        await disk.widen()
        await expect.poll(() => silences('full').at(-1), patient).toBeNull()
        await world.run('full', 'until [ -e /done ]; do sleep 0.1; done; echo 3 > /proc/sys/vm/drop_caches')
        expect(await world.run('full', 'md5sum < /big')).toBe(await world.run('full', 'cat /sum'))
        expect(await world.driver.console?.('full')).not.toMatch(/error/i)
        await world.driver.stop('full', 0)
      }
      await world.driver.destroy('full')
    },
  )

  const manyMs = full ? 900_000 : bootMs
  it.runIf(full)(
    'sleeps in great number without memory of the host, and wakes while that is short',
    {
      timeout: manyMs,
    },
    async () => {
      const ids = Array.from({ length: full ? 50 : 8 }, (_, index) => `sleeper${index}`)
      const sleepers: Sleeper[] = []
      // The host, as far as saved memory is concerned: hostkit writes and reads it, so what the host keeps of it counts there.
      await using host = await narrow(`gibil-test-narrow-${process.pid}`, 256)
      await host.enter((await world.hostkit.ping()).pid)
      for (const id of ids) sleepers.push(await putToSleep(world, id))
      const asleep = (await leftovers(join(world.home, 'microvm'))).filter((line) => line.includes('sleeper'))
      const { boxesDir } = microvmNames(world.home)
      // No process, no cgroup, no link: files in the home alone.
      expect(asleep.sort()).toEqual(ids.map((id) => `directory ${join(boxesDir, id)}`).sort())

      const before = await savedMemory(world, ids)
      await using _hog = await startHog(192, host.procs)
      const { size, held } = await savedMemory(world, ids)
      if (process.env['GIBIL_SHOW_MEMORY']) {
        const mib = [size, before.held, held].map((bytes) => Math.round(bytes / 1024 ** 2))
        process.stderr.write(
          `${ids.length} sleeping boxes, MiB saved, held before and under pressure: ${mib.join(', ')}\n`,
        )
      }
      // More than there is room for, so the host has given up what it had of it.
      expect(size).toBeGreaterThan(256 * 1024 ** 2)
      expect(held).toBeLessThan(64 * 1024 ** 2)

      for (const part of [0, 0.5, 1]) {
        const sleeper = sleepers[Math.floor(part * (ids.length - 1))]
        if (!sleeper) continue
        const { id, sum, count } = sleeper
        const woken = await wake(world, sleeper)
        expect(woken).toMatchObject({ sum, kept: id })
        expect(woken.count).toBeGreaterThan(count)
        await world.driver.pause(id)
      }
      for (const id of ids) await world.driver.destroy(id)
    },
  )
})
