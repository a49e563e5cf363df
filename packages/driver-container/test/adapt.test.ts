import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { run } from './boxd-call.ts'
import { leftovers, sh } from './rig.ts'
import { openWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterEach(async () => {
  for (const box of await world.driver.list()) await world.driver.destroy(box.id)
  expect(await leftovers(world.home)).toEqual([])
})
afterAll(async () => {
  expect(await world.end()).toEqual([])
})

const names = 'hostname; cat /etc/hostname; grep -c asked /etc/hosts; grep -c spare /etc/hosts /etc/hostname'
const reach = 'cat /etc/resolv.conf; cat /proc/net/dev | grep -c eth0'

it('gives a box that runs already another name and keeps its process and address', async () => {
  const { driver } = world
  const made = await driver.create(world.spec('one', { hostname: 'spare' }))
  const before = (await run(driver, 'one', 'cut -d " " -f 22 /proc/1/stat; cat /etc/machine-id')).output
  const adapted = await driver.adapt?.(world.spec('one', { hostname: 'asked', labels: { of: 'user' } }))
  expect(adapted).toEqual(made)
  expect((await run(driver, 'one', names)).output).toBe('asked\nasked\n1\n/etc/hosts:0\n/etc/hostname:0\n')
  expect((await run(driver, 'one', 'cut -d " " -f 22 /proc/1/stat; cat /etc/machine-id')).output).toBe(before)
  expect(await sh('hostname')).not.toContain('asked')
  // What it became is what it is from then on.
  await driver.stop('one', 1000)
  await driver.start(world.spec('one', { hostname: 'asked' }))
  expect((await run(driver, 'one', 'hostname; cat /etc/hostname')).output).toBe('asked\nasked\n')
})

it('takes the network of a box away, for good', async () => {
  const { driver } = world
  await driver.create(world.spec('off', { hostname: 'spare' }))
  const spec = world.spec('off', { hostname: 'asked', network: 'none' })
  expect(await driver.adapt?.(spec)).toMatchObject({ status: 'running', address: null })
  expect((await run(driver, 'off', reach)).output).toBe('# this box has no network\n0\n')
  expect((await run(driver, 'off', 'cat /etc/hosts')).output).toContain('127.0.1.1 asked')
  await driver.stop('off', 1000)
  await driver.start(spec)
  expect((await run(driver, 'off', reach)).output).toBe('# this box has no network\n0\n')
})

it('lets a box reach private networks by the name of its link, with its address and route', async () => {
  const { driver } = world
  const { address } = await driver.create(world.spec('wide', { hostname: 'spare' }))
  const link = async (): Promise<string> => (await sh(`ip -o route get ${address} | grep -o 'dev [^ ]*'`)).trim()
  const before = await link()
  await driver.adapt?.(world.spec('wide', { hostname: 'asked', network: 'lan' }))
  const after = await link()
  expect(before).toMatch(/^dev g[0-9a-f]{6}i/)
  expect(after).toBe(before.replace(/i([0-9a-f]{3})$/, 'l$1'))
  // The kernel in the box refuses the connection: so packets pass, both ways.
  const [answer] = await once(connect({ host: String(address), port: 9 }), 'error')
  expect(answer).toMatchObject({ code: 'ECONNREFUSED' })
})

it.each([
  ['another size', { size: { cpu: 1, memoryMib: 64, diskMib: 64 } }],
  [
    'another image',
    { image: { name: 'x', digest: 'sha256:other', layers: ['/'], env: {}, workdir: null, user: null } },
  ],
] as const)('refuses %s, and create then makes that box anew', async (_, change) => {
  const { driver } = world
  await driver.create(world.spec('box', { hostname: 'spare' }))
  await expect(driver.adapt?.(world.spec('box', change))).rejects.toMatchObject({ code: 'driver_failed' })
})

it('refuses a box that has died, and create then makes it anew', async () => {
  const { driver } = world
  await driver.create(world.spec('dead', { hostname: 'spare' }))
  await run(driver, 'dead', 'kill -TERM 1').catch(() => undefined)
  const spec = world.spec('dead', { hostname: 'asked' })
  await expect.poll(async () => (await driver.inspect('dead'))?.status, { timeout: 20_000 }).toBe('stopped')
  await expect(driver.adapt?.(spec)).rejects.toMatchObject({ code: 'driver_failed' })
  await driver.create(spec)
  expect((await run(driver, 'dead', 'hostname')).output).toBe('asked\n')
})

it('writes nothing on the host when the box has made its /etc a link', async () => {
  const { driver } = world
  const outside = await mkdtemp('/var/tmp/gibil-adapt-')
  try {
    const names = ['hostname', 'hosts', 'resolv.conf', 'machine-id']
    for (const name of names) await writeFile(join(outside, name), 'of the host')
    await driver.create(world.spec('trap', { hostname: 'spare' }))
    await run(driver, 'trap', `mv /etc /etc.old; ln -s ${outside} /etc`)
    await expect(driver.adapt?.(world.spec('trap', { hostname: 'asked' }))).rejects.toMatchObject({
      code: 'driver_failed',
    })
    for (const name of names) expect(await readFile(join(outside, name), 'utf8')).toBe('of the host')
  } finally {
    await rm(outside, { recursive: true, force: true })
  }
})
