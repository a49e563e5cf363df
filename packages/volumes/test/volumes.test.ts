import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { VolumeFiles } from '@gibil/core'
import { homeNames } from '@gibil/host'
import { createHostKit, type HostKit } from '@gibil/hostkit-client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { run } from '../../driver-container/test/boxd-call.ts'
import { buildBinaries, leftovers, sh } from '../../driver-container/test/rig.ts'
import { openWorld, type World } from '../../driver-container/test/world.ts'
import { openVolumes, type VolumeKeeper } from '../src/index.ts'

let world: World
let hostkit: HostKit
let volumes: VolumeKeeper
let files: VolumeFiles
const record = { id: 'vol', name: 'shared', owner: null, sizeMib: 24, createdAt: 0 }

beforeAll(async () => {
  world = await openWorld()
  hostkit = createHostKit({ binary: (await buildBinaries()).hostkit })
  volumes = await openVolumes(world.home, hostkit)
  await volumes.create(record)
  files = volumes.files('vol')
  for (const [id, path] of [
    ['one', '/data'],
    ['two', '/srv/in/it'],
  ] as const) {
    await world.driver.create(world.spec(id, { volumes: [{ id: 'vol', path }] }))
  }
})
afterAll(async () => {
  await hostkit.close()
  expect(await world.end()).toEqual([])
})

async function inBox(id: string, command: string, user = 'agent'): Promise<string> {
  const { exitCode, output } = await run(world.driver, id, command, user)
  if (exitCode !== 0) throw new Error(`${command}: ${exitCode}: ${output}`)
  return output
}
async function* pieces(...all: string[]): AsyncGenerator<Uint8Array> {
  for (const one of all) yield Buffer.from(one)
}
const content = async (path: string): Promise<string> => text((await files.read(path)).content)

it('is one directory of several boxes, whose users are the same in each, and of the daemon', async () => {
  await inBox('one', 'echo hello > /data/a; mkdir /data/d; id -u > /data/d/who')
  expect(await inBox('two', 'cat /srv/in/it/a; stat -c %u /srv/in/it/a /srv/in/it/d/who')).toBe('hello\n1000\n1000\n')
  await inBox('two', 'echo more >> /srv/in/it/a; chown root /srv/in/it/d/who', 'root')
  expect(await inBox('one', 'cat /data/a; stat -c %U /data/d/who')).toBe('hello\nmore\nroot\n')
  expect(await content('/a')).toBe('hello\nmore\n')
  expect(await files.stat('/d/who')).toMatchObject({ type: 'file', uid: 0, gid: 1000, size: 5, path: '/d/who' })
  await files.write('/given', pieces('from', ' outside'), {})
  expect(await inBox('one', 'cat /data/given; echo mine >> /data/given; stat -c %u:%a /data/given')).toBe(
    'from outside1000:666\n',
  )
})

it('holds as much as its size, and raises nobody', async () => {
  await expect(inBox('one', 'dd if=/dev/zero of=/data/large bs=1M count=32')).rejects.toThrow(/No space left/)
  await expect(files.write('/b', pieces('x'.repeat(1 << 20)), {})).rejects.toMatchObject({ code: 'disk_full' })
  await inBox('two', 'rm /srv/in/it/large')
  await inBox('one', 'cp /bin/bash /data/root; chmod 4755 /data/root', 'root')
  expect(await inBox('one', "/data/root -p -c 'echo $EUID'")).toBe('1000\n')
  await expect(inBox('one', 'mknod /data/null c 1 3', 'root')).rejects.toThrow()
  expect((await files.list('/', 1)).map(({ name }) => name)).toEqual(['a', 'd', 'given', 'root'])
})

it('is there after its boxes stop, are gone, and the daemon is another', async () => {
  await world.driver.stop('two', 1000)
  await world.driver.start(world.spec('two', { volumes: [{ id: 'vol', path: '/srv/in/it' }] }))
  expect(await inBox('two', 'head -n 1 /srv/in/it/a')).toBe('hello\n')
  await world.driver.destroy('two')
  expect((await leftovers(world.home)).filter((line) => line.includes('/two/'))).toEqual([])
  expect(await inBox('one', 'head -n 1 /data/a')).toBe('hello\n')
  // A daemon that was killed had it mounted.
  const names = homeNames(world.home)
  const left = join(names.runDir, 'volumes', 'vol')
  await hostkit.diskMount({ image: join(names.volumesDir, 'vol', 'disk.img'), target: left })
  volumes = await openVolumes(world.home, hostkit)
  files = volumes.files('vol')
  expect(await stat(left).catch((error: NodeJS.ErrnoException) => error.code)).toBe('ENOENT')
  expect(await volumes.list()).toEqual([record])
  expect(await content('a')).toBe('hello\nmore\n')
})

it('lets no link lead out of it', async () => {
  await sh(`echo secret > ${world.home}/secret`)
  const inside = 'cd /data; mkdir -p etc; echo own > etc/passwd'
  await inBox(
    'one',
    `${inside}; ln -s /etc abs; ln -s ../../../../../../etc up; ln -s /etc/passwd file; ln -s loop loop`,
  )
  for (const path of ['/abs/passwd', '/up/passwd', '/file', 'etc/../abs/passwd'])
    expect(await content(path)).toBe('own\n')
  await inBox('one', `ln -s ${world.home}/secret /data/out; ln -s ${world.home} /data/home`)
  await expect(content('/out')).rejects.toMatchObject({ code: 'file_not_found' })
  await expect(files.write('/home/made', pieces('x'), {})).rejects.toMatchObject({ code: 'file_not_found' })
  await expect(content('/loop')).rejects.toMatchObject({ code: 'invalid_path' })
  expect(await files.stat('/out')).toMatchObject({ type: 'symlink', target: `${world.home}/secret` })
  // What is written over a link takes its place, and what is removed is the link.
  await files.write('/out', pieces('mine'), { force: true })
  expect(await inBox('one', 'cat /data/out; rm /data/out')).toBe('mine')
  await inBox('one', `mkdir /data/tree; ln -s /data/etc /data/tree/etc; ln -s ${world.home} /data/tree/home`)
  await files.remove('/tree')
  expect(await content('/etc/passwd')).toBe('own\n')
  expect(await readFile(`${world.home}/secret`, 'utf8')).toBe('secret\n')
  // Nor does a pipe keep anybody waiting.
  await inBox('one', 'mkfifo /data/pipe')
  await expect(content('/pipe')).rejects.toMatchObject({ code: 'file_conflict' })
})

it('never leads out while a box changes directories for links as fast as it can', async () => {
  const swap = 'cd /data; mkdir -p s; echo own > s/secret; while :; do mv s t; ln -s HOME s; rm s; mv t s; done'
  await inBox('one', `(${swap.replace('HOME', world.home)}) >/dev/null 2>&1 & echo $! > /data/pid`)
  const seen = new Set<string>()
  for (let count = 0; count < 25; count += 1) {
    seen.add(await content('/s/secret').catch((error) => error.code))
    await files.write('/s/put', pieces('x'), {}).catch(() => undefined)
    await files.remove('/s/secret2').catch(() => undefined)
  }
  await inBox('one', 'kill $(cat /data/pid)')
  expect([...seen].filter((one) => !['own\n', 'file_not_found', 'file_conflict'].includes(one))).toEqual([])
  expect(seen).toContain('own\n')
  expect(await stat(`${world.home}/put`).catch((error: NodeJS.ErrnoException) => error.code)).toBe('ENOENT')
})

it('makes, changes and removes files as asked', async () => {
  expect(await files.makeDirectory('/new/deep', { force: true, mode: 0o750, uid: 7 })).toMatchObject({
    type: 'directory',
    mode: 0o750,
    uid: 7,
    gid: 1000,
  })
  expect(await files.stat('/new')).toMatchObject({ mode: 0o777, uid: 7 })
  await expect(files.makeDirectory('/new/deep', {})).rejects.toMatchObject({ code: 'file_conflict' })
  await expect(files.makeDirectory('/none/deep', {})).rejects.toMatchObject({ code: 'file_not_found' })
  await files.write('/new/deep/f', pieces('1'), { mode: 0o640 })
  await expect(files.write('/new/deep/f', pieces('2'), {})).rejects.toMatchObject({ code: 'file_conflict' })
  await files.write('/new/deep/f', pieces('22'), { force: true })
  expect(await files.change('/new/deep/f', { uid: 3, mode: 0o600 })).toMatchObject({
    uid: 3,
    gid: 1000,
    mode: 0o600,
    size: 2,
  })
  await expect(files.write('/new/deep', pieces('3'), { force: true })).rejects.toMatchObject({ code: 'file_conflict' })
  expect((await files.list('/new', 2)).map(({ path }) => path)).toEqual(['/new/deep', '/new/deep/f'])
  expect((await files.list('/new', 1)).map(({ path }) => path)).toEqual(['/new/deep'])
  await expect(files.list('/new/deep/f', 1)).rejects.toMatchObject({ code: 'file_conflict' })
  await files.remove('/new')
  await expect(files.stat('/new/deep')).rejects.toMatchObject({ code: 'file_not_found' })
  await expect(files.remove('/')).rejects.toMatchObject({ code: 'invalid_path' })
  expect((await files.list('/', 1)).filter(({ name }) => name.startsWith('.gibil'))).toEqual([])
})

it('is gone with its disk, and a box cannot be made with it any more', async () => {
  await world.driver.destroy('one')
  await volumes.remove('vol')
  await expect(files.stat('/')).rejects.toMatchObject({ code: 'volume_not_found' })
  await expect(
    world.driver.create(world.spec('late', { volumes: [{ id: 'vol', path: '/data' }] })),
  ).rejects.toMatchObject({
    code: 'volume_not_found',
  })
  expect(await leftovers(world.home)).toEqual([])
})
