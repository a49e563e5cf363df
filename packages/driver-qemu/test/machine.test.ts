import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { release } from 'node:os'
import { join } from 'node:path'
import { createBoxdClient } from '@gibil/boxd-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { microvmNames } from '../src/names.ts'
import { openWorld, type World } from './world.ts'

const bootMs = 240_000

describe('a box with a kernel of its own', { timeout: bootMs }, () => {
  let world: World
  beforeAll(async () => {
    world = await openWorld()
    await world.driver.create(world.spec('one'))
    await world.driver.create(world.spec('two'))
    await world.driver.create(world.spec('alone', { network: 'none' }))
  }, 2 * bootMs)
  afterAll(async () => {
    expect(await world.end()).toEqual([])
  }, bootMs)

  it('runs another kernel than the host, boxd as its first process and nothing that the host started', async () => {
    const kernel = (await world.run('one', 'uname -r')).trim()
    expect(kernel).toMatch(/^\d+\.\d+.*-cloud-amd64$/)
    expect(kernel).not.toBe(release())
    expect((await world.boxd('one').health()).pid).toBe(1)
    expect(await world.run('one', 'cat /proc/1/cmdline')).toContain('/init')
  })

  it('froze one machine for all boxes of that image and size, and gave each an identity of its own', async () => {
    expect(world.logged.filter((line) => line.includes('froze a machine'))).toHaveLength(1)
    expect(world.logged.filter((line) => line.startsWith('warn'))).toEqual([])
    const facts = 'hostname; cat /etc/machine-id /proc/sys/kernel/random/boot_id; head -c 16 /dev/urandom | od -An -tx1'
    const [one = [], two = []] = await Promise.all(
      ['one', 'two'].map(async (id) => (await world.run(id, facts)).trim().split('\n')),
    )
    expect(one).toHaveLength(4)
    expect(one[0]).toBe('one')
    expect(two[0]).toBe('two')
    for (const index of [1, 2, 3]) expect(one[index]).not.toBe(two[index])
    const now = Number((await world.run('two', 'date +%s')).trim())
    expect(Math.abs(now - Date.now() / 1000)).toBeLessThan(60)
  })

  it('counts time by a clock that does not miss any', async () => {
    const source = '/sys/devices/system/clocksource/clocksource0/current_clocksource'
    expect((await world.run('one', `cat ${source}`)).trim()).toMatch(/^(tsc|kvm-clock)$/)
  })

  it('tells what processor time it takes', async () => {
    const cpuMs = async (id: string) => (await world.driver.cpuMs?.(id)) ?? Number.NaN
    const [busy, idle] = [await cpuMs('one'), await cpuMs('two')]
    // Counted inside, so that a busy host takes nothing from the test but time.
    await world.run('one', 'i=0; while [ "$i" -lt 20000 ]; do i=$((i + 1)); done')
    expect((await cpuMs('one')) - busy).toBeGreaterThan(300)
    expect((await cpuMs('two')) - idle).toBeLessThan((await cpuMs('one')) - busy)
  })

  it('shows the size that was asked for', async () => {
    const kib = Number((await world.run('one', "awk '/MemTotal/ {print $2}' /proc/meminfo")).trim())
    expect(kib).toBeGreaterThan(180 * 1024)
    expect(kib).toBeLessThan(256 * 1024)
    expect((await world.run('one', 'nproc')).trim()).toBe('1')
    const disk = Number((await world.run('one', "df -k / | awk 'END {print $2}'")).trim())
    expect(disk).toBeGreaterThan(400 * 1024)
    expect(disk).toBeLessThan(512 * 1024)
    await expect(world.run('one', 'dd if=/dev/zero of=/big bs=1M count=600')).rejects.toThrow(/space/)
    await world.run('one', 'rm /big')
  })

  it('keeps a file from other boxes and from the image', async () => {
    await world.run('one', 'echo mine > /mine')
    await expect(world.run('two', 'cat /mine')).rejects.toThrow()
  })

  it('gives no process of the box a way to boxd, root included', async () => {
    expect((await world.run('one', 'ls /sys/class/net')).trim().split(/\s+/).sort()).toEqual(['eth0', 'lo'])
    await expect(world.run('one', 'echo | timeout 3 nc 169.254.77.2 1')).rejects.toThrow()
    await expect(world.run('one', 'echo | timeout 3 nc 127.0.0.1 1')).rejects.toThrow()
    expect(await world.boxd('one').ports()).toEqual([])
  })

  it('reaches neither the host nor another box', async () => {
    const server = createServer((socket) => socket.end('host'))
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
    try {
      const address = server.address()
      const port = typeof address === 'object' && address ? address.port : 0
      const gateway = (await world.run('one', "ip route | awk '/default/ {print $3}'")).trim()
      expect(gateway).toMatch(/^10\./)
      await expect(world.run('one', `echo | timeout 5 nc ${gateway} ${port}`)).rejects.toThrow()
      await world.run('two', 'nc -l -p 8080 >/dev/null </dev/null &')
      const other = (await world.driver.inspect('two'))?.address
      await expect(world.run('one', `echo | timeout 5 nc ${other} 8080`)).rejects.toThrow()
    } finally {
      server.close()
    }
  })

  it('has no link that is up without a network, and is reached all the same', async () => {
    expect((await world.driver.inspect('alone'))?.address).toBeNull()
    expect((await world.run('alone', 'ip route')).trim()).toBe('')
    expect((await world.run('alone', 'hostname')).trim()).toBe('alone')
  })

  it('serves many connections at once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => world.run('one', `echo ${index}`)))
    expect(answers.map(Number)).toEqual(Array.from({ length: 20 }, (_, index) => index))
  })

  it('runs as a user without rights, in a network namespace of its own', async () => {
    const pid = (await readFile(join(microvmNames(world.home).runDir, 'boxes/one/pid'), 'utf8')).trim()
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    expect(Number(/^Uid:\s+(\d+)/m.exec(status)?.[1])).toBeGreaterThan(0x7000_0000 - 1)
    expect(/^CapEff:\s+(\w+)/m.exec(status)?.[1]).toBe('0000000000000000')
    expect(/^Seccomp:\s+(\d)/m.exec(status)?.[1]).toBe('2')
    const links = (await readFile(`/proc/${pid}/net/dev`, 'utf8')).match(/^\s*\w+:/gm)?.map((name) => name.trim())
    expect(links?.sort()).toEqual(['control:', 'lo:'])
  })

  it('stands still while it is paused, and has the right time after', async () => {
    await world.driver.pause('two')
    expect((await world.driver.inspect('two'))?.status).toBe('paused')
    const impatient = createBoxdClient((signal) => world.driver.dial('two', signal), { answerMs: 1000 })
    await expect(impatient.health()).rejects.toMatchObject({ code: 'boxd_unreachable' })
    await world.driver.resume('two')
    expect((await world.driver.inspect('two'))?.status).toBe('running')
    const now = Number((await world.run('two', 'date +%s')).trim())
    expect(Math.abs(now - Date.now() / 1000)).toBeLessThan(60)
  })

  it('keeps its disk, and not its processes, over stop and start', async () => {
    await world.run('two', 'echo kept > /kept; sleep 1000 >/dev/null 2>&1 &')
    await world.driver.stop('two', 5000)
    expect(await world.driver.inspect('two')).toMatchObject({ status: 'stopped' })
    expect((await world.driver.inspect('two'))?.reason).toBeUndefined()
    await world.driver.start(world.spec('two'))
    expect(await world.run('two', 'cat /kept; hostname')).toBe('kept\ntwo\n')
    expect(await world.run('two', 'ps')).not.toContain('sleep 1000')
  })

  it('goes on, and is reached, when the daemon is started anew; its end is told', async () => {
    await world.run('one', '(sleep 1000; true) >/dev/null 2>&1 &')
    world = await world.reopen()
    expect((await world.driver.list()).map(({ id, status }) => `${id} ${status}`)).toEqual([
      'alone running',
      'one running',
      'two running',
    ])
    expect(await world.run('one', 'ps')).toContain('sleep 1000')
    await world.boxd('alone').shutdown(0)
    await expect.poll(() => world.exits).toEqual(['alone'])
    expect(await world.driver.inspect('alone')).toMatchObject({ status: 'stopped', reason: 'ended' })
  })
})
