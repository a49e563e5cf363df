import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { homeNames } from '@gibil/host'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { boxPaths } from '../src/box-paths.ts'
import { call, run } from './boxd-call.ts'
import { leftovers, sh } from './rig.ts'
import { eventually, openWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterEach(async () => {
  for (const box of await world.driver.list()) await world.driver.destroy(box.id)
  for (const { id } of (await world.driver.listSnapshots?.()) ?? []) await world.driver.removeSnapshot?.(id)
  expect(await leftovers(world.home)).toEqual([])
})
afterAll(async () => {
  expect(await world.end()).toEqual([])
})

const pathsOf = (id: string) => boxPaths(homeNames(world.home), id)
const save = (box: string, id = 'saved') => world.driver.snapshot?.(box, { id, kind: 'disk' })
const output = async (id: string, command: string, user = 'root') => (await run(world.driver, id, command, user)).output

it('saves the disk of a box that writes, which goes on, and what began as it is another box', async () => {
  const { driver } = world
  await driver.create(world.spec('one'))
  await output('one', 'echo mine > /home/agent/file; chown agent /home/agent/file; chmod 4711 /home/agent/file')
  const count = 'i=0; while :; do i=$((i+1)); echo $i >> /count; done'
  await call(driver, 'one', 'POST', '/v1/jobs', { argv: ['bash', '-c', count], user: 'root', cwd: '/' })
  await eventually('it counts', async () => (await run(driver, 'one', 'test -s /count')).exitCode === 0)
  const made = await save('one')
  expect(made).toMatchObject({ id: 'saved', kind: 'disk' })
  expect(made?.bytes).toBeGreaterThan(0)
  expect(await save('one')).toEqual(made)
  expect(await driver.listSnapshots?.()).toEqual([made])
  const size = Number(await output('one', 'stat -c %s /count'))
  await eventually('it counts on', async () => Number(await output('one', 'stat -c %s /count')) > size)

  const fork = await driver.create(world.spec('two', { from: 'saved' }))
  expect(fork.address).not.toBe((await driver.inspect('one'))?.address)
  expect(await output('two', 'cat /home/agent/file; stat -c "%U %a" /home/agent/file')).toBe('mine\nagent 4711\n')
  // Every line of a disk that was frozen in order is whole and none is missing.
  const lines = (await output('two', 'cat /count')).trim().split('\n')
  expect(lines).toEqual(lines.map((_, index) => String(index + 1)))
  const machine = createHash('sha256').update('two').digest('hex').slice(0, 32)
  expect(await output('two', 'hostname; cat /etc/hostname /etc/machine-id; cat /etc/hosts')).toBe(
    `two\ntwo\n${machine}\n127.0.0.1 localhost\n${fork.address} two\n`,
  )
  expect(await output('two', 'ps | grep -c "[i]=0"')).toBe('0\n')
})

it('gives a box the files of another with ids of its own, over stop, start and a snapshot of itself', async () => {
  const { driver } = world
  await driver.create(world.spec('one'))
  await output('one', 'echo a > /home/agent/a && chown agent:agent /home/agent/a')
  await save('one')
  await driver.create(world.spec('two', { from: 'saved' }))
  const owner = async (id: string, path: string) => (await stat(join(pathsOf(id).rootfs, path))).uid
  expect((await owner('two', 'home/agent/a')) - (await owner('one', 'home/agent/a'))).toBe(65_536)
  expect(await output('two', 'echo b >> ~/a && touch ~/b && id -u && cat ~/a', 'agent')).toBe('1000\na\nb\n')
  await output('two', 'mkdir /d && touch /d/f && chown -R 3:4 /d && rm /etc/group && ln -s a /l')
  await driver.stop('two', 1000)
  await driver.start(world.spec('two'))
  expect(await output('two', 'stat -c "%u:%g" /d/f /home/agent/b; ls /etc/group 2>&1; readlink /l')).toContain(
    '3:4\n1000:1000\n',
  )
  await save('two', 'later')
  await driver.destroy('one')
  await driver.destroy('two')
  await driver.removeSnapshot?.('saved')
  await driver.create(world.spec('filler'))
  await driver.create(world.spec('three', { from: 'later' }))
  expect(await output('three', 'stat -c "%u:%g" /d/f /home/agent/b /; cat /home/agent/a')).toBe(
    '3:4\n1000:1000\n0:0\na\nb\n',
  )
  expect(
    await output('three', 'touch /home/agent/c && chown 65535:65535 /home/agent/c && stat -c %u /home/agent/c'),
  ).toBe('65535\n')
})

it('saves and puts back boxes that run, are paused and are stopped', async () => {
  const { driver } = world
  const spec = world.spec('one')
  const before = await driver.create(spec)
  await output('one', 'echo one > /file')
  await save('one')
  for (const status of ['running', 'paused', 'stopped'] as const) {
    await output('one', `echo ${status} > /file; echo other > /etc/hostname`)
    if (status === 'paused') await driver.pause('one')
    if (status === 'stopped') await driver.stop('one', 1000)
    await save('one', status)
    expect(await driver.inspect('one')).toMatchObject({ status })
    expect(await driver.restore?.(spec, 'saved')).toEqual(before)
    expect(await output('one', 'cat /file; cat /etc/hostname')).toBe('one\none\n')
    expect(await driver.restore?.(spec, status)).toEqual(before)
    expect(await output('one', 'cat /file; cat /etc/hostname')).toBe(`${status}\none\n`)
  }
  expect((await sh(`ls ${pathsOf('one').kept}`)).trim()).toBe('box.json\ndisk.img')
  await driver.stop('one', 1000)
  await driver.start(spec)
  expect(await output('one', 'cat /file')).toBe('stopped\n')
})

it('puts a box back to the snapshot of another one, as itself', async () => {
  const { driver } = world
  await driver.create(world.spec('one'))
  await output('one', 'echo one > /home/agent/file; chown agent /home/agent/file')
  await save('one')
  const before = await driver.create(world.spec('two', { network: 'lan' }))
  expect(await driver.restore?.(world.spec('two', { network: 'lan' }), 'saved')).toEqual(before)
  expect(await output('two', 'cat ~/file; hostname; stat -c %u ~/file; echo x > ~/file', 'agent')).toBe(
    'one\ntwo\n1000\n',
  )
})

it('refuses what it cannot do, and leaves the box as it is', async () => {
  const { driver } = world
  const spec = world.spec('one')
  await driver.create(spec)
  await save('one')
  await expect(driver.snapshot?.('one', { id: 'm', kind: 'disk+memory' })).rejects.toMatchObject({
    code: 'unsupported_by_shape',
  })
  await expect(driver.snapshot?.('none', { id: 'm', kind: 'disk' })).rejects.toMatchObject({ code: 'wrong_state' })
  await expect(driver.restore?.(spec, 'none')).rejects.toMatchObject({ code: 'snapshot_not_found' })
  await expect(driver.create(world.spec('two', { from: 'none' }))).rejects.toMatchObject({ code: 'snapshot_not_found' })
  const image = { ...spec.image, digest: 'sha256:other' }
  await expect(driver.create(world.spec('two', { from: 'saved', image }))).rejects.toMatchObject({
    code: 'wrong_state',
  })
  const size = { ...spec.size, diskMib: 256 }
  await driver.create(world.spec('large', { size }))
  await expect(driver.restore?.(world.spec('large', { size }), 'saved')).rejects.toMatchObject({ code: 'wrong_state' })
  for (const id of ['../boxes/one', '.', 'a/b', '']) {
    await expect(driver.removeSnapshot?.(id)).rejects.toMatchObject({ code: 'invalid_request' })
  }
  expect(await driver.list()).toHaveLength(2)
  expect(await output('one', 'echo on')).toBe('on\n')
})

it('follows no link that a box has laid where the host writes', async () => {
  const { driver } = world
  await driver.create(world.spec('one'))
  const target = join(world.home, 'cache', 'victim')
  await sh(`echo untouched > ${target}`)
  await output(
    'one',
    `rm -rf /etc/hostname /etc/hosts; ln -s ${target} /etc/hostname; ln -s / /etc/hosts; rm -rf /run; ln -s / /run`,
  )
  await save('one')
  await driver.create(world.spec('two', { from: 'saved' }))
  expect(await output('two', 'cat /etc/hostname')).toBe('two\n')
  await output('two', `mv /etc /e; ln -s ${join(world.home, 'cache')} /etc`)
  await save('two', 'later')
  await driver.create(world.spec('three', { from: 'later' }))
  await driver.restore?.(world.spec('one'), 'later')
  expect(await readFile(target, 'utf8')).toBe('untouched\n')
  expect((await sh(`ls ${join(world.home, 'cache')}`)).includes('hostname')).toBe(false)
})
