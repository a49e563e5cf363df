import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createHostKit, type HostKit } from './hostkit.ts'

const exec = promisify(execFile)
const idmap = { base: 1_879_048_192, count: 65_536 }

let dir: string
let hostkit: HostKit

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-hostkit-'))
  await exec('sh', [resolve(import.meta.dirname, '../../../hostkit/build.sh'), dir])
  hostkit = createHostKit({ binary: join(dir, 'hostkit') })
})
afterAll(async () => {
  await hostkit.unmount({ target: dir, recursive: true })
  expect((await hostkit.sweepList({ mountPrefix: dir, linkPrefix: '', netnsPrefix: '' })).mounts).toEqual([])
  await hostkit.close()
  await rm(dir, { recursive: true })
})

const loops = async (): Promise<string> =>
  (await exec('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE'])).stdout

describe('the process', () => {
  it('answers, and is started anew after it died', async () => {
    const first = await hostkit.ping()
    const interrupted = hostkit.runStart({
      argv: ['sleep', '60'],
      env: {},
      cwd: '/',
      log: join(dir, 'log'),
      timeoutMs: 60_000,
    })
    process.kill(first.pid, 'SIGKILL')
    await expect(interrupted).rejects.toMatchObject({ code: 'driver_failed' })
    expect((await hostkit.ping()).pid).not.toBe(first.pid)
  })

  it('says what is wrong with arguments that it does not know', async () => {
    const wrong = Object.assign({ image: join(dir, 'x.img'), sizeMib: 1 }, { size: 1 })
    await expect(hostkit.diskCreate(wrong)).rejects.toMatchObject({
      code: 'driver_failed',
      details: { errno: 'invalid' },
    })
  })

  it('reports a binary that is not there', async () => {
    const none = createHostKit({ binary: join(dir, 'no-such-binary') })
    await expect(none.ping()).rejects.toMatchObject({ code: 'driver_failed' })
  })
})

describe('disks', () => {
  it('are sparse, have the size asked for, refuse more, and give deleted data back', async () => {
    const [template, image, target] = [join(dir, 'template.img'), join(dir, 'disk.img'), join(dir, 'disk')]
    await hostkit.diskCreate({ image: template, sizeMib: 256 })
    await hostkit.diskCreate({ image, sizeMib: 256, from: template })
    await hostkit.diskCreate({ image, sizeMib: 256, from: template })
    expect((await stat(image)).size).toBe(256 * 1024 ** 2)
    expect((await stat(image)).blocks * 512).toBeLessThan(16 * 1024 ** 2)

    await hostkit.diskMount({ image, target })
    await hostkit.diskMount({ image, target })
    expect((await statfs(target)).bsize * (await statfs(target)).blocks).toBeLessThanOrEqual(256 * 1024 ** 2)
    await expect(writeFile(join(target, 'big'), Buffer.alloc(300 * 1024 ** 2, 1))).rejects.toMatchObject({
      code: 'ENOSPC',
    })
    await exec('sync', ['-f', target])
    const full = (await stat(image)).blocks
    await rm(join(target, 'big'))
    // ext4 hands freed blocks back in the background, some time after the journal has the deletion.
    await vi.waitFor(async () => expect((await stat(image)).blocks).toBeLessThan(full / 2), {
      timeout: 20_000,
      interval: 100,
    })

    await hostkit.unmount({ target })
    await hostkit.unmount({ target })
    expect(await loops()).not.toContain(image)
  })

  it('keep what was written from one mount to the next', async () => {
    const [image, target] = [join(dir, 'kept.img'), join(dir, 'kept')]
    await hostkit.diskCreate({ image, sizeMib: 64 })
    await hostkit.diskMount({ image, target })
    await writeFile(join(target, 'note'), 'kept')
    await hostkit.unmount({ target })
    await hostkit.diskMount({ image, target })
    expect(await readFile(join(target, 'note'), 'utf8')).toBe('kept')
    await hostkit.unmount({ target })
  })

  it('refuse a template of another size and leave nothing', async () => {
    const template = join(dir, 'small.img')
    await hostkit.diskCreate({ image: template, sizeMib: 32 })
    await expect(hostkit.diskCreate({ image: join(dir, 'wrong.img'), sizeMib: 64, from: template })).rejects.toThrow(
      'not a disk',
    )
    const { stdout } = await exec('ls', ['-A', dir])
    expect(stdout).not.toContain('wrong.img')
  })
})

describe('overlays', () => {
  it('shift the ids of layers and leave the layers as they are', async () => {
    const [low, high, upper, work, target] = ['low', 'high', 'upper', 'work', 'merged'].map((name) =>
      join(dir, 'overlay', name),
    )
    if (!low || !high || !upper || !work || !target) throw new Error('a path is missing')
    await mkdir(low, { recursive: true })
    await mkdir(high)
    await writeFile(join(low, 'both'), 'low')
    await writeFile(join(high, 'both'), 'high')
    await writeFile(join(low, 'owned'), 'by 1000')
    await chown(join(low, 'owned'), 1000, 1000)
    await hostkit.mountOverlay({ target, lower: [high, low], upper, work, idmap })
    expect(await readFile(join(target, 'both'), 'utf8')).toBe('high')
    expect((await stat(join(target, 'owned'))).uid).toBe(idmap.base + 1000)
    expect((await stat(target)).uid).toBe(idmap.base)
    await writeFile(join(target, 'owned'), 'changed')
    expect(await readFile(join(low, 'owned'), 'utf8')).toBe('by 1000')
    await hostkit.unmount({ target, recursive: true })
    expect((await stat(join(low, 'owned'))).uid).toBe(1000)
    expect((await exec('ls', ['/run'])).stdout).not.toContain('hostkit-')
  })

  it('take sixty layers', async () => {
    const base = join(dir, 'many')
    const lower: string[] = []
    for (let index = 0; index < 60; index += 1) {
      const layer = join(base, `layer-${String(index).padStart(3, '0')}-${'x'.repeat(80)}`)
      await mkdir(layer, { recursive: true })
      await writeFile(join(layer, `file-${index}`), String(index))
      lower.push(layer)
    }
    const target = join(base, 'merged')
    await hostkit.mountOverlay({ target, lower, upper: join(base, 'upper'), work: join(base, 'work'), idmap })
    expect(await readFile(join(target, 'file-59'), 'utf8')).toBe('59')
    await hostkit.unmount({ target, recursive: true })
  })
})

describe('networks', () => {
  it('are a namespace with a routed link, and go without a trace', async () => {
    const tag = randomBytes(3).toString('hex')
    const [netns, host] = [`hk-${tag}`, `hk${tag}`]
    const net = {
      netns,
      host,
      guest: 'eth0',
      guestAddress: '10.99.99.2',
      gateway: '10.99.99.1',
      mac: '02:00:00:00:00:02',
      mtu: 1400,
    }
    try {
      await hostkit.netCreate(net)
      await hostkit.netCreate(net)
      const inside = async (...args: string[]): Promise<string> => (await exec('ip', ['-n', netns, ...args])).stdout
      expect(await inside('-4', 'address', 'show', 'eth0')).toContain('10.99.99.2/32')
      expect(await inside('route')).toContain('default via 10.99.99.1 dev eth0')
      expect(await inside('link', 'show', 'eth0')).toMatch(/mtu 1400.*\n.*02:00:00:00:00:02/)
      expect(await inside('-6', 'address')).toBe('')
      // The host answers for a port that nobody listens at: packets go there and back.
      const knock = exec('ip', ['netns', 'exec', netns, 'bash', '-c', 'exec 3<>/dev/tcp/10.99.99.1/9'])
      await expect(knock).rejects.toThrow('Connection refused')
    } finally {
      await hostkit.netDestroy({ netns, host })
      await hostkit.netDestroy({ netns, host })
    }
    expect(await hostkit.sweepList({ mountPrefix: '', linkPrefix: `hk${tag}`, netnsPrefix: `hk-${tag}` })).toEqual({
      mounts: [],
      links: [],
      netns: [],
    })
  })

  it('refuse a name that would leave the folder of namespaces', async () => {
    await expect(hostkit.netDestroy({ netns: '../../etc/passwd' })).rejects.toMatchObject({
      details: { errno: 'invalid' },
    })
  })
})

describe('commands', () => {
  it('get a listening socket as descriptor 3, whatever the length of its path', async () => {
    const deep = join(dir, 'd'.repeat(60), 'e'.repeat(60))
    await mkdir(deep, { recursive: true })
    const [socket, script, log] = [join(deep, 's.sock'), join(dir, 'serve.sh'), join(dir, 'serve.log')]
    await writeFile(script, '#!/bin/sh\nreadlink /proc/self/fd/3\necho complaint >&2\n')
    await chmod(script, 0o755)
    const result = await hostkit.runStart({
      argv: [script],
      env: { PATH: '/usr/bin:/bin' },
      cwd: '/',
      log,
      socket,
      timeoutMs: 5000,
    })
    expect(result.exitCode).toBe(0)
    expect(result.stderr).toMatch(/socket:\[\d+\]\ncomplaint/)
    expect((await stat(socket)).isSocket()).toBe(true)
    expect((await stat(socket)).mode & 0o777).toBe(0o600)
    // Nobody listens any more once the command is gone.
    const refused = await new Promise((done) =>
      connect(`/proc/self/cwd/../..${socket}`.slice(0, 107)).once('error', done),
    )
    expect(refused).toBeInstanceOf(Error)
  })

  it('are ended at their time limit with all that they started', async () => {
    const log = join(dir, 'limit.log')
    const slow = hostkit.runStart({
      argv: ['sh', '-c', 'sleep 61 & wait'],
      env: { PATH: '/usr/bin:/bin' },
      cwd: '/',
      log,
      timeoutMs: 200,
    })
    await expect(slow).rejects.toMatchObject({ details: { errno: 'ETIMEDOUT' } })
    expect((await exec('ps', ['-eo', 'args'])).stdout).not.toContain('sleep 61')
  })

  it('report a program that is not installed', async () => {
    const none = hostkit.runStart({
      argv: ['no-such-program'],
      env: {},
      cwd: '/',
      log: join(dir, 'none.log'),
      timeoutMs: 1000,
    })
    await expect(none).rejects.toMatchObject({ code: 'missing_tool' })
  })
})

describe('watching', () => {
  it('tells when a process ends, also one that is gone already', async () => {
    const child = execFile('sleep', ['0.3'])
    const pid = child.pid ?? 0
    await hostkit.procWatch({ pid, key: 'a' })
    await hostkit.procWatch({ pid: 2 ** 22, key: 'b' })
    await expect(stat(`/proc/${pid}/fd/0`)).rejects.toThrow()
  })
})
