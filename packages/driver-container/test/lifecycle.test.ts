import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { homeNames } from '@gibil/host'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { boxPaths } from '../src/box-paths.ts'
import { call, run } from './boxd-call.ts'
import { leftovers, newHome, sh } from './rig.ts'
import { eventually, openWorld, openWorldAt, type World } from './world.ts'

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

const pathsOf = (id: string) => boxPaths(homeNames(world.home), id)
const pidOf = async (id: string) => Number(await readFile(pathsOf(id).pidFile, 'utf8'))

it('makes a box that answers and runs commands, and takes every trace of it away', async () => {
  const { driver } = world
  const phases: string[] = []
  const box = await driver.create(world.spec('one'), { trace: (phase) => phases.push(phase) })
  expect(box).toMatchObject({ id: 'one', status: 'running' })
  expect(phases.toSorted()).toEqual(['bundle', 'disk', 'etc', 'network', 'rootfs', 'runtime'])
  expect(await call(driver, 'one', 'GET', '/v1/health')).toMatchObject({ pid: 1 })
  const ran = await run(driver, 'one', 'hostname; id -u; cat /etc/hostname; echo out; exit 7')
  expect(ran).toMatchObject({ exitCode: 7, output: 'one\n0\none\nout\n' })
  expect((await run(driver, 'one', 'id -u; pwd; echo $HOME', 'agent')).output).toBe('1000\n/\n/home/agent\n')
  expect(await driver.inspect('one')).toEqual(box)
  expect(await driver.list()).toEqual([box])
  await driver.destroy('one')
  expect(await driver.list()).toEqual([])
  expect(await driver.inspect('one')).toBeUndefined()
  expect(await leftovers(world.home)).toEqual([])
  await driver.destroy('one')
})

it('keeps the disk over stop and start, and takes the memory away', async () => {
  const { driver } = world
  const spec = world.spec('keeper')
  const made = await driver.create(spec)
  await run(
    driver,
    'keeper',
    'echo kept > /home/agent/file; echo gone > /dev/shm/file; echo "10.1.2.3 extra" >> /etc/hosts',
  )
  await driver.stop('keeper', 2000)
  expect(await driver.inspect('keeper')).toEqual({ id: 'keeper', status: 'stopped', address: made.address })
  expect((await leftovers(world.home)).filter((line) => !line.startsWith('directory'))).toEqual([])
  await driver.stop('keeper', 2000)
  expect(await driver.start(spec)).toEqual(made)
  expect(await driver.start(spec)).toEqual(made)
  const { output } = await run(driver, 'keeper', 'cat /home/agent/file; ls /dev/shm; cat /etc/hosts')
  expect(output).toContain('kept\n')
  expect(output).not.toContain('file')
  expect(output).toContain('10.1.2.3 extra')
})

it('starts a box again whose disk is full', async () => {
  const { driver } = world
  const spec = world.spec('full')
  await driver.create(spec)
  await run(driver, 'full', 'dd if=/dev/zero of=/fill bs=64k; dd if=/dev/zero of=/fill2 bs=1k; sync')
  await driver.stop('full', 1000)
  await driver.start(spec)
  expect((await run(driver, 'full', 'rm /fill /fill2 && echo room > /x && cat /x')).output).toBe('room\n')
})

it('lets commands end at a stop, within the grace that it has', async () => {
  const { driver } = world
  const spec = world.spec('gentle')
  await driver.create(spec)
  const command = "trap 'echo saved > /saved; exit 0' TERM; touch /up; while :; do sleep 0.1; done"
  await call(driver, 'gentle', 'POST', '/v1/jobs', { argv: ['bash', '-c', command], user: 'root', cwd: '/' })
  await eventually('the command is up', async () => (await run(driver, 'gentle', 'test -e /up')).exitCode === 0)
  await driver.stop('gentle', 10_000)
  await driver.start(spec)
  expect((await run(driver, 'gentle', 'cat /saved')).output).toBe('saved\n')
})

it('freezes every process and goes on where it was', async () => {
  const { driver } = world
  await driver.create(world.spec('nap'))
  const count = 'i=0; while :; do i=$((i+1)); echo $i > /count; sleep 0.02; done'
  await call(driver, 'nap', 'POST', '/v1/jobs', { argv: ['bash', '-c', count], user: 'root', cwd: '/' })
  const counted = async () => Number(await readFile(`${pathsOf('nap').rootfs}/count`, 'utf8').catch(() => '0'))
  await eventually('it counts', async () => (await counted()) > 2)
  await driver.pause('nap')
  expect(await driver.inspect('nap')).toMatchObject({ status: 'paused' })
  await driver.pause('nap')
  const before = await counted()
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(await counted()).toBe(before)
  await driver.resume('nap')
  await driver.resume('nap')
  expect(await driver.inspect('nap')).toMatchObject({ status: 'running' })
  await eventually('it counts on', async () => (await counted()) > before)
  await driver.pause('nap')
  await driver.stop('nap', 200)
  await expect(driver.pause('nap')).rejects.toMatchObject({ code: 'wrong_state' })
})

it('notices a box that is killed from outside, and can start it again', async () => {
  const { driver, exits } = world
  const spec = world.spec('victim')
  await driver.create(spec)
  await run(driver, 'victim', 'echo kept > /file')
  process.kill(await pidOf('victim'), 'SIGKILL')
  await eventually('the end is told', () => exits.includes('victim'))
  expect(await driver.inspect('victim')).toMatchObject({ status: 'stopped', reason: 'killed' })
  await expect(driver.dial('victim')).rejects.toMatchObject({ code: 'boxd_unreachable' })
  await driver.start(spec)
  expect((await run(driver, 'victim', 'cat /file')).output).toBe('kept\n')
  exits.length = 0
  await driver.stop('victim', 1000)
  await driver.start(spec)
  await driver.destroy('victim')
  expect(exits).toEqual([])
})

it('goes on with its boxes after a restart, and still notices their end', async () => {
  const before = await world.driver.create(world.spec('survivor'))
  world = await world.reopen()
  expect(await world.driver.list()).toEqual([before])
  expect((await run(world.driver, 'survivor', 'echo still here')).output).toBe('still here\n')
  expect((await world.driver.create(world.spec('other'))).address).not.toBe(before.address)
  process.kill(await pidOf('survivor'), 'SIGKILL')
  await eventually('the end is told', () => world.exits.includes('survivor'))
})

it('gives each box of twenty made at once its own address and user ids', async () => {
  const { driver } = world
  const ids = Array.from({ length: 20 }, (_, index) => `many-${index}`)
  const size = { cpu: 1, memoryMib: 64, diskMib: 64 }
  const boxes = await Promise.all(ids.map((id) => driver.create(world.spec(id, { size }))))
  expect(new Set(boxes.map(({ address }) => address)).size).toBe(20)
  const owners = new Set(
    await Promise.all(ids.map(async (id) => (await sh(`stat -c %u /proc/${await pidOf(id)}`)).trim())),
  )
  expect(owners.size).toBe(20)
  expect([...owners].every((uid) => Number(uid) >= 0x7000_0000)).toBe(true)
  await Promise.all(ids.map((id) => driver.destroy(id)))
})

it.each([
  ['is damaged', async (path: string) => writeFile(path, '{"version":1,')],
  ['is missing', async (path: string) => void (await sh(`rm ${path}`))],
])('takes a running box away whose file %s', async (_, harm) => {
  const { driver } = world
  await driver.create(world.spec('hurt'))
  await harm(pathsOf('hurt').boxFile)
  expect(await driver.list()).toEqual([{ id: 'hurt', status: 'partial', address: null }])
  await driver.destroy('hurt')
  expect(await leftovers(world.home)).toEqual([])
})

it('does not give the slot of a box whose file is damaged to another', async () => {
  const { driver } = world
  await driver.create(world.spec('hurt'))
  await writeFile(pathsOf('hurt').boxFile, '')
  world = await world.reopen()
  await world.driver.create(world.spec('fine'))
  expect((await run(world.driver, 'fine', 'echo ok')).output).toBe('ok\n')
  expect((await run(world.driver, 'hurt', 'echo ok')).output).toBe('ok\n')
})

it('gives up at an abort and leaves nothing', async () => {
  const controller = new AbortController()
  const trace = (phase: string): void => {
    if (phase === 'disk') controller.abort()
  }
  await expect(world.driver.create(world.spec('late'), { signal: controller.signal, trace })).rejects.toMatchObject({
    code: 'cancelled',
  })
  expect(await leftovers(world.home)).toEqual([])
})

it('fails with the reason when a layer is not there, when the runtime refuses, and leaves nothing', async () => {
  const { driver } = world
  const spec = world.spec('broken')
  const image = { ...spec.image, layers: ['/nonexistent/layer'] }
  await expect(driver.create({ ...spec, image })).rejects.toMatchObject({ code: 'driver_failed' })
  await expect(driver.create({ ...spec, hostname: 'x'.repeat(100) })).rejects.toMatchObject({
    code: 'driver_failed',
    details: { stderr: expect.stringContaining('sethostname') },
  })
  await expect(driver.create({ ...spec, size: { ...spec.size, memoryMib: 1 } })).rejects.toMatchObject({
    code: 'invalid_request',
  })
  expect(await leftovers(world.home)).toEqual([])
})

it('makes a whole box of one that a crash left half made', async () => {
  const { driver } = world
  const paths = pathsOf('half')
  await driver.create(world.spec('half'))
  const file = JSON.parse(await readFile(paths.boxFile, 'utf8'))
  await writeFile(paths.boxFile, JSON.stringify({ ...file, phase: 'creating' }))
  process.kill(await pidOf('half'), 'SIGKILL')
  await eventually('it is half made', async () => (await driver.inspect('half'))?.status === 'partial')
  await expect(driver.start(world.spec('half'))).rejects.toMatchObject({ code: 'wrong_state' })
  expect(await driver.create(world.spec('half'))).toMatchObject({ status: 'running' })
  expect((await run(driver, 'half', 'echo ok')).output).toBe('ok\n')
})

it('has no answer for boxes that it never made', async () => {
  const { driver } = world
  await expect(driver.dial('nobody')).rejects.toMatchObject({ code: 'boxd_unreachable' })
  await expect(driver.start(world.spec('nobody'))).rejects.toMatchObject({ code: 'box_not_found' })
  await driver.stop('nobody', 100)
  await expect(driver.dial('../etc')).rejects.toMatchObject({ code: 'invalid_request' })
  expect(existsSync(pathsOf('nobody').kept)).toBe(false)
})

it('makes no box where the host has hardly any room left', async () => {
  const mount = await newHome()
  await sh(`mount -t tmpfs -o size=64m tmpfs ${mount}`)
  try {
    const small = await openWorldAt(`${mount}/home`)
    await expect(small.driver.create(small.spec('box'))).rejects.toMatchObject({
      code: 'disk_full',
      message: expect.stringContaining('1 GiB'),
    })
    expect(await small.end()).toEqual([])
  } finally {
    await sh(`umount ${mount} && rmdir ${mount}`)
  }
})

it('works in a home that only root may enter, at the end of a very long path', async () => {
  const top = await newHome()
  const long = `${top}/${'deep-directory-name/'.repeat(12)}home`
  await sh(`chmod 700 ${top} && mkdir -p ${long}`)
  const far = await openWorldAt(long)
  await far.driver.create(far.spec('box'))
  expect((await run(far.driver, 'box', 'echo ok')).output).toBe('ok\n')
  expect(await far.end()).toEqual([])
  await sh(`rm -r ${top}`)
})
