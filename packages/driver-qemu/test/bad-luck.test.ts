import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Silence } from '@gibil/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { full } from '../../../test/support/full-form.ts'
import { microvmNames } from '../src/names.ts'
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
  const silences = (id: string) => heard.filter((one) => one.id === id).map(({ silence }) => silence)

  beforeAll(async () => {
    world = await openWorld()
    world.driver.onSilence?.((id, silence) => heard.push({ id, silence }))
    await world.driver.create(world.spec('box'))
    await world.driver.create(world.spec('calm', { network: 'none' }))
  }, 2 * bootMs)
  afterAll(async () => {
    // One that was never silent was never told of, whatever happened beside it.
    expect(silences('calm')).toEqual([])
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

  it('whose QEMU is killed at its limit of memory is seen to end as out of memory', async () => {
    // One that had a hog before has all its memory already.
    await world.driver.stop('box', 0)
    await startedAgain()
    const before = world.exits.length
    await tighten(await pidOf('box'))
    await begin('box', hog)
    await expect.poll(() => world.exits.slice(before), patient).toEqual(['box'])
    expect(await world.driver.inspect('box')).toMatchObject({ status: 'stopped', reason: 'out of memory' })
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
    const later: string[] = []
    world.driver.onSilence?.((id) => later.push(id))
    await sleep(6000)
    expect(later).toEqual([])
    await world.driver.resume('box')
    process.kill(await pidOf('box'), 'SIGSTOP')
    await expect.poll(() => later, patient).toContain('box')
    process.kill(await pidOf('box'), 'SIGCONT')
    expect(await world.run('box', 'echo alive')).toBe('alive\n')
  })
})

/** Leaves a process 16 MiB more than its cgroup cannot give back. What it has of files would be given up first, and be more than its guest asks for. */
async function tighten(pid: number): Promise<void> {
  const lines = (await readFile(`/proc/${pid}/cgroup`, 'utf8')).trim().split('\n')
  const old = lines.find((line) => line.split(':')[1]?.split(',').includes('memory'))
  const path = (old ?? lines[0] ?? '').split(':').slice(2).join(':')
  const directory = join('/sys/fs/cgroup', old ? 'memory' : '', path)
  const [limit, own] = old ? ['memory.limit_in_bytes', /^total_rss (\d+)$/m] : ['memory.max', /^anon (\d+)$/m]
  const used = Number(own.exec(await readFile(join(directory, 'memory.stat'), 'utf8'))?.[1])
  await writeFile(join(directory, limit), String(used + 16 * 1024 ** 2))
}
