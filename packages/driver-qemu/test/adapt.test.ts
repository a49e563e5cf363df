import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { leftovers } from '../../driver-container/test/rig.ts'
import { steps } from '../src/steps.ts'
import { openWorld, type World } from './world.ts'

const bootMs = 240_000
const exec = promisify(execFile)

let world: World
let failAt = ''
beforeAll(async () => {
  world = await openWorld({
    step: (name) => {
      if (name === failAt) throw new Error(`fails at ${name}`)
    },
  })
}, bootMs)
afterEach(async () => {
  failAt = ''
  for (const box of await world.driver.list()) await world.driver.destroy(box.id)
  expect(await leftovers(join(world.home, 'microvm'))).toEqual([])
}, bootMs)
afterAll(async () => {
  expect(await world.end()).toEqual([])
}, bootMs)

const names = 'hostname; cat /etc/hostname; grep -c asked /etc/hosts; grep -c spare /etc/hosts /etc/hostname || true'
const random = 'head -c 16 /dev/urandom | od -An -tx1'

it('gives a machine that runs already another name and keeps its process and address', {
  timeout: bootMs,
}, async () => {
  const { driver } = world
  const made = await driver.create(world.spec('one', { hostname: 'spare' }))
  const before = await world.run('one', 'cat /proc/uptime /etc/machine-id')
  const adapted = await driver.adapt?.(world.spec('one', { hostname: 'asked', labels: { of: 'user' } }))
  expect(adapted).toEqual(made)
  expect(await world.run('one', names)).toBe('asked\nasked\n1\n/etc/hosts:0\n/etc/hostname:0\n')
  const after = await world.run('one', 'cat /proc/uptime /etc/machine-id')
  expect(after.split('\n')[1]).toBe(before.split('\n')[1])
  expect(Number.parseFloat(after)).toBeGreaterThan(Number.parseFloat(before))
  expect(Math.abs(Number(await world.run('one', 'date +%s')) - Date.now() / 1000)).toBeLessThan(60)
  expect(await world.run('one', random)).not.toBe(await world.run('one', random))
  // What it became is what it is from then on.
  await driver.stop('one', 1000)
  await driver.start(world.spec('one', { hostname: 'asked' }))
  expect(await world.run('one', 'hostname; cat /etc/hostname')).toBe('asked\nasked\n')
})

it('takes the network of a box away, for good', { timeout: bootMs }, async () => {
  const { driver } = world
  const { address } = await driver.create(world.spec('off', { hostname: 'spare' }))
  const spec = world.spec('off', { hostname: 'asked', network: 'none' })
  expect(await driver.adapt?.(spec)).toMatchObject({ status: 'running', address: null })
  expect((await world.run('off', 'ip route')).trim()).toBe('')
  // Also for root in it, who can bring the link up again: nothing is at its other end.
  const dare = `ip link set eth0 up; ip address add ${address} dev eth0; ip route add default dev eth0`
  await expect(world.run('off', `${dare}; echo | timeout 3 nc 1.1.1.1 53`)).rejects.toThrow()
  expect((await exec('ip', ['route', 'show', 'to', String(address)])).stdout).toBe('')
})

it('lets a box reach private networks by the name of its link, with its address and route', {
  timeout: bootMs,
}, async () => {
  const { driver } = world
  const { address } = await driver.create(world.spec('wide', { hostname: 'spare' }))
  const link = async (): Promise<string> =>
    /dev (\S+)/.exec((await exec('ip', ['-o', 'route', 'get', String(address)])).stdout)?.[1] ?? ''
  const before = await link()
  await driver.adapt?.(world.spec('wide', { hostname: 'asked', network: 'lan' }))
  expect(before).toMatch(/^g[0-9a-f]{6}i/)
  expect(await link()).toBe(before.replace(/i([0-9a-f]{3})$/, 'l$1'))
  // The kernel in the box refuses the connection: so packets pass, both ways.
  const [answer] = await once(connect({ host: String(address), port: 9 }), 'error')
  expect(answer).toMatchObject({ code: 'ECONNREFUSED' })
})

it('refuses what it cannot become, and create then makes it anew', { timeout: bootMs }, async () => {
  const { driver } = world
  await driver.create(world.spec('box', { hostname: 'spare', network: 'none' }))
  const larger = world.spec('box', { network: 'none', size: { cpu: 1, memoryMib: 320, diskMib: 512 } })
  for (const spec of [larger, world.spec('box', { network: 'internet' })]) {
    await expect(driver.adapt?.(spec)).rejects.toMatchObject({ code: 'driver_failed' })
  }
  await world.boxd('box').shutdown(0)
  await expect.poll(async () => (await driver.inspect('box'))?.status, { timeout: 20_000 }).toBe('stopped')
  const spec = world.spec('box', { hostname: 'asked', network: 'none' })
  // Its end may be noticed before the call or by it.
  const code = expect.stringMatching(/^(driver_failed|boxd_unreachable)$/)
  await expect(driver.adapt?.(spec)).rejects.toMatchObject({ code })
  await driver.create(spec)
  expect(await world.run('box', 'hostname')).toBe('asked\n')
})

it.each(steps.adapt)('fails at %s, and create makes the box that was asked for', { timeout: bootMs }, async (name) => {
  const { driver } = world
  await driver.create(world.spec('box', { hostname: 'spare' }))
  const spec = world.spec('box', { hostname: 'asked' })
  failAt = name
  await expect(driver.adapt?.(spec)).rejects.toMatchObject({ code: 'driver_failed' })
  failAt = ''
  await driver.create(spec)
  expect(await world.run('box', names)).toBe('asked\nasked\n1\n/etc/hosts:0\n/etc/hostname:0\n')
})
