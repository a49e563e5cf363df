import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, mkdir, mkdtemp, open, readdir, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { GibilError } from '@gibil/contract'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import * as z from 'zod'
import { createHostKit, type HostKit } from './hostkit.ts'
import type { RunStart } from './operations.ts'

const exec = promisify(execFile)
const idmap = { base: 1_879_048_192, count: 65_536 }

/** Everything here is done for real by the kernel, which does it for root alone. */
const isRoot = process.getuid?.() === 0
const forRoot = describe.skipIf(!isRoot)

let dir: string
let hostkit: HostKit
const ends: GibilError[] = []
const tag = randomBytes(3).toString('hex')

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-hostkit-'))
  await exec('sh', [resolve(import.meta.dirname, '../../../hostkit/build.sh'), dir])
  hostkit = createHostKit({ binary: join(dir, 'hostkit'), onExit: (error) => ends.push(error) })
})
afterAll(async () => {
  try {
    expect(await leftovers()).toEqual([])
  } finally {
    if (isRoot) {
      for (const name of [`hk-${tag}`, `hk-${tag}b`]) {
        await hostkit.netDestroy({ netns: name, host: name.replace('-', '') })
      }
      await hostkit.unmount({ target: dir, recursive: true })
    }
    await hostkit.close()
    await rm(dir, { recursive: true })
  }
})

/** What the tests left on the host: mounts, loop devices, links and network namespaces. */
async function leftovers(): Promise<string[]> {
  const swept = await hostkit.sweepList({ mountPrefix: dir, linkPrefix: `hk${tag}`, netnsPrefix: `hk-${tag}` })
  return [...swept.mounts, ...swept.links, ...swept.netns, ...(await loops())]
}

/** Images of these tests that have a loop device. A device clears itself just after its last user. */
async function loops(): Promise<string[]> {
  const list = async (): Promise<string[]> => {
    const { stdout } = await exec('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE'])
    return stdout.split('\n').filter((path) => path.startsWith(dir))
  }
  for (let attempt = 0; attempt < 100 && (await list()).length > 0; attempt += 1) await sleep(20)
  return list()
}

const paths = <Name extends string>(folder: string, ...names: readonly Name[]): Readonly<Record<Name, string>> =>
  Object.fromEntries(names.map((name) => [name, join(dir, folder, name)])) as Record<Name, string>

const command = (argv: readonly string[], given: Partial<RunStart> = {}): RunStart => ({
  argv,
  env: { PATH: '/usr/bin:/bin' },
  cwd: '/',
  log: join(dir, 'log'),
  timeoutMs: 20_000,
  ...given,
})

describe('the process', () => {
  it('answers, and is started anew after it died', async () => {
    const first = await hostkit.ping()
    const interrupted = hostkit.runStart(command(['sleep', '60']))
    process.kill(first.pid, 'SIGKILL')
    await expect(interrupted).rejects.toMatchObject({ code: 'driver_failed' })
    expect(ends).toHaveLength(1)
    expect((await hostkit.ping()).pid).not.toBe(first.pid)
  })

  it('outlives the signals that a terminal sends to all, since the daemon still needs it', async () => {
    const { pid } = await hostkit.ping()
    process.kill(pid, 'SIGINT')
    process.kill(pid, 'SIGTERM')
    await sleep(50)
    expect((await hostkit.ping()).pid).toBe(pid)
  })

  it('says what is wrong with arguments', async () => {
    const unknown = Object.assign({ image: join(dir, 'x.img'), sizeMib: 16 }, { size: 1 })
    for (const wrong of [
      () => hostkit.diskCreate(unknown),
      () => hostkit.diskCreate({ image: 'relative.img', sizeMib: 16 }),
      () => hostkit.diskCreate({ image: join(dir, 'x.img'), sizeMib: 1 }),
      () => hostkit.unmount({ target: '/' }),
      () => hostkit.mountPrepare({ base: 0, count: 65_536 }),
      () => hostkit.netDestroy({ netns: '../../etc/passwd' }),
      () => hostkit.runStart(command([])),
    ]) {
      await expect(wrong()).rejects.toMatchObject({ code: 'driver_failed', details: { errno: 'invalid' } })
    }
  })
})

forRoot('disks', () => {
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

    expect(await hostkit.unmount({ target })).toEqual({ lazy: false })
    expect(await hostkit.unmount({ target })).toEqual({ lazy: false })
    expect(await loops()).toEqual([])
  })

  it('never get a second loop device, however often and wherever they are mounted at once', async () => {
    const { image, one, two } = paths('same', 'image', 'one', 'two')
    await mkdir(join(dir, 'same'))
    await hostkit.diskCreate({ image, sizeMib: 16 })
    await Promise.all([one, one, two, one, two].map((target) => hostkit.diskMount({ image, target })))
    expect((await stat(one)).dev).toBe((await stat(two)).dev)
    expect((await exec('losetup', ['--noheadings', '--output', 'NAME', '--associated', image])).stdout.trim()).toMatch(
      /^\/dev\/loop\d+$/,
    )
    await writeFile(join(one, 'note'), 'seen in both')
    expect(await readFile(join(two, 'note'), 'utf8')).toBe('seen in both')
    await hostkit.unmount({ target: one })
    await hostkit.unmount({ target: two })
    // One mount each: a second one would still be there.
    expect((await stat(one)).dev).toBe((await stat(dir)).dev)
    expect((await stat(two)).dev).toBe((await stat(dir)).dev)
  })

  it('do not cover another disk', async () => {
    const { first, second, target } = paths('cover', 'first', 'second', 'target')
    await mkdir(join(dir, 'cover'))
    for (const image of [first, second]) await hostkit.diskCreate({ image, sizeMib: 16 })
    await hostkit.diskMount({ image: first, target })
    await expect(hostkit.diskMount({ image: second, target })).rejects.toMatchObject({ details: { errno: 'EBUSY' } })
    await hostkit.unmount({ target })
    expect(await loops()).toEqual([])
  })

  it('in use are detached after a while, and stay whole when they are mounted again meanwhile', async () => {
    const { image, target, again } = paths('lazy', 'image', 'target', 'again')
    await mkdir(join(dir, 'lazy'))
    await hostkit.diskCreate({ image, sizeMib: 16 })
    await hostkit.diskMount({ image, target })
    const handle = await open(join(target, 'held'), 'w')
    try {
      expect(await hostkit.unmount({ target, recursive: true })).toEqual({ lazy: true })
      await hostkit.diskMount({ image, target: again })
      await handle.writeFile('still there')
      expect(await readFile(join(again, 'held'), 'utf8')).toBe('still there')
      await hostkit.unmount({ target: again })
    } finally {
      await handle.close()
    }
    expect(await loops()).toEqual([])
  })

  it('that are abandoned write nothing more', async () => {
    const { image, target } = paths('abandoned', 'image', 'target')
    await mkdir(join(dir, 'abandoned'))
    await hostkit.diskCreate({ image, sizeMib: 64 })
    await hostkit.diskMount({ image, target })
    await writeFile(join(target, 'kept'), 'flushed')
    await exec('sync', ['-f', target])
    await writeFile(join(target, 'lost'), 'not yet in the journal')
    await hostkit.diskAbandon({ target })
    await hostkit.diskAbandon({ target })
    await expect(readFile(join(target, 'kept'))).rejects.toMatchObject({ code: 'EIO' })
    await hostkit.unmount({ target })
    await hostkit.diskAbandon({ target })
    await hostkit.diskMount({ image, target })
    expect((await readdir(target)).sort()).toEqual(['kept', 'lost+found'])
    await hostkit.unmount({ target })
    await expect(hostkit.diskAbandon({ target: '/proc' })).rejects.toMatchObject({ details: { errno: 'EBUSY' } })
  })

  it('leave no loop device when they cannot be mounted', async () => {
    const { image, target } = paths('broken', 'image', 'target')
    await mkdir(join(dir, 'broken'))
    await writeFile(image, Buffer.alloc(16 * 1024 ** 2))
    await expect(hostkit.diskMount({ image, target })).rejects.toMatchObject({ details: { errno: 'EINVAL' } })
    await expect(hostkit.diskMount({ image: join(dir, 'none.img'), target })).rejects.toMatchObject({
      details: { errno: 'ENOENT' },
    })
    expect(await loops()).toEqual([])
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

forRoot('overlays', () => {
  it('shift the ids of layers and leave the layers as they are', async () => {
    const { low, high, upper, work, target } = paths('overlay', 'low', 'high', 'upper', 'work', 'target')
    await mkdir(low, { recursive: true })
    await mkdir(high, { mode: 0o711 })
    await writeFile(join(low, 'both'), 'low')
    await writeFile(join(high, 'both'), 'high')
    await writeFile(join(low, 'owned'), 'by 1000')
    await chown(join(low, 'owned'), 1000, 1000)
    await hostkit.mountPrepare(idmap)
    await hostkit.mountOverlay({ target, lower: [high, low], upper, work, idmap })
    expect(await readFile(join(target, 'both'), 'utf8')).toBe('high')
    expect((await stat(join(target, 'owned'))).uid).toBe(idmap.base + 1000)
    expect((await stat(target)).uid).toBe(idmap.base)
    expect((await stat(target)).mode & 0o7777).toBe(0o711)
    await writeFile(join(target, 'owned'), 'changed')
    expect(await readFile(join(low, 'owned'), 'utf8')).toBe('by 1000')
    await hostkit.unmount({ target, recursive: true })
    expect((await stat(join(low, 'owned'))).uid).toBe(1000)
    // The box's own owner of its root stays over a stop and start.
    await chown(upper, idmap.base + 7, idmap.base)
    await hostkit.mountOverlay({ target, lower: [high, low], upper, work, idmap })
    expect((await stat(target)).uid).toBe(idmap.base + 7)
    expect(await readFile(join(target, 'owned'), 'utf8')).toBe('changed')
    await hostkit.unmount({ target, recursive: true })
  })

  it('show no path of the host in the table of mounts, and leave no layer in it', async () => {
    const { low, upper, work, target } = paths('hidden', 'low', 'upper', 'work', 'target')
    await mkdir(low, { recursive: true })
    await hostkit.mountOverlay({ target, lower: [low], upper, work, idmap })
    const table = (await readFile('/proc/self/mountinfo', 'utf8'))
      .split('\n')
      .filter((line) => line.includes('/hidden'))
    expect(table).toHaveLength(1)
    expect(table[0]).toContain('nodev')
    expect(table[0]?.match(/lowerdir=[^, ]*/)?.[0]).not.toContain(dir)
    await hostkit.unmount({ target })
  })

  it('do not cover something else, and leave nothing when a layer is missing', async () => {
    const { image, low, upper, work, target } = paths('failing', 'image', 'low', 'upper', 'work', 'target')
    await mkdir(low, { recursive: true })
    await hostkit.diskCreate({ image, sizeMib: 16 })
    await hostkit.diskMount({ image, target })
    const overlay = { target, lower: [low], upper, work, idmap }
    await expect(hostkit.mountOverlay(overlay)).rejects.toMatchObject({ details: { errno: 'EBUSY' } })
    await hostkit.unmount({ target })
    const missing = hostkit.mountOverlay({ ...overlay, lower: [low, join(dir, 'none')] })
    await expect(missing).rejects.toMatchObject({ details: { errno: 'ENOENT' } })
    expect((await stat(target)).dev).toBe((await stat(dir)).dev)
  })

  it('made many at once keep their maps apart', async () => {
    const { low } = paths('fleet', 'low')
    await mkdir(low, { recursive: true })
    await writeFile(join(low, 'file'), 'one')
    const targets = Array.from({ length: 24 }, (_, index) => ({ index, base: idmap.base + index * idmap.count }))
    await Promise.all(
      targets.map(async ({ index, base }) => {
        const { upper, work, target } = paths(`fleet/${index}`, 'upper', 'work', 'target')
        await mkdir(join(dir, 'fleet', String(index)))
        await hostkit.mountOverlay({ target, lower: [low], upper, work, idmap: { base, count: idmap.count } })
        expect((await stat(join(target, 'file'))).uid).toBe(base)
        await hostkit.unmount({ target })
      }),
    )
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

forRoot('binds', () => {
  it('put a directory or a file somewhere else, also read-only', async () => {
    const { tree, target, spot } = paths('bind', 'tree', 'target', 'spot')
    const file = join(tree, 'file')
    await mkdir(tree, { recursive: true })
    await writeFile(file, 'bound')
    await hostkit.mountBind({ source: tree, target, readonly: true })
    await hostkit.mountBind({ source: tree, target, readonly: true })
    await hostkit.mountBind({ source: file, target: spot, readonly: false })
    await expect(writeFile(join(target, 'file'), 'changed')).rejects.toMatchObject({ code: 'EROFS' })
    await writeFile(spot, 'changed')
    expect(await readFile(join(target, 'file'), 'utf8')).toBe('changed')
    await expect(hostkit.mountBind({ source: '/usr', target, readonly: true })).rejects.toMatchObject({
      details: { errno: 'EBUSY' },
    })
    // All of it at once, from a directory that is no mount itself.
    await hostkit.unmount({ target: join(dir, 'bind'), recursive: true })
    expect(await leftovers()).toEqual([])
  })
})

const routed = {
  guest: 'eth0',
  guestAddress: '10.99.99.2',
  gateway: '10.99.99.1',
  mac: '02:00:00:00:00:02',
  mtu: 1400,
}

forRoot('networks', () => {
  it('are a namespace with a routed link, and go without a trace', async () => {
    const [netns, host] = [`hk-${tag}`, `hk${tag}`]
    const net = { ...routed, netns, host }
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

  it('that are half there are made anew', async () => {
    const [netns, host] = [`hk-${tag}b`, `hk${tag}b`]
    const net = { ...routed, netns, host, guestAddress: '10.99.98.2' }
    try {
      await exec('ip', ['netns', 'add', netns])
      await hostkit.netCreate(net)
      await exec('ip', ['netns', 'del', netns])
      // The link is going with its namespace; and now it is there again without one.
      await hostkit.netCreate(net)
      const { stdout } = await exec('ip', ['-n', netns, '-br', 'address', 'show', 'eth0'])
      expect(stdout).toContain('10.99.98.2/32')
      expect((await exec('ip', ['route', 'get', '10.99.98.2'])).stdout).toContain(`dev ${host}`)
    } finally {
      await hostkit.netDestroy({ netns, host })
    }
    expect((await exec('ip', ['-o', 'link'])).stdout).not.toContain(host)
  })

  it('leave nothing when the link cannot be made', async () => {
    const netns = `hk-${tag}b`
    await expect(
      hostkit.netCreate({ ...routed, netns, host: `hk${tag}b`, mac: 'ff:ff:ff:ff:ff:ff' }),
    ).rejects.toMatchObject({
      details: { errno: 'EADDRNOTAVAIL' },
    })
    expect(await leftovers()).toEqual([])
  })
})

describe('commands', () => {
  it('get a listening socket as descriptor 3, whatever the length of its path', async () => {
    const deep = join(dir, 'd'.repeat(60), 'e'.repeat(60))
    await mkdir(deep, { recursive: true })
    const socket = join(deep, 's.sock')
    const script = 'readlink /proc/self/fd/3; echo complaint >&2; stat -c %a "$0"'
    for (const log of ['first.log', 'second.log']) {
      const result = await hostkit.runStart(command(['sh', '-c', script, socket], { log: join(dir, log), socket }))
      expect(result).toEqual({ exitCode: 0, stderr: expect.stringMatching(/^socket:\[\d+\]\ncomplaint\n600\n$/) })
    }
    // Nobody listens any more once the command is gone.
    const directory = await open(deep)
    try {
      const address = `/proc/self/fd/${directory.fd}/s.sock`
      const refused = await new Promise((done) => connect(address).once('error', done).once('connect', done))
      expect(refused).toMatchObject({ code: 'ECONNREFUSED' })
    } finally {
      await directory.close()
    }
  })

  it('that fail leave no socket, and say why in what they added to the log', async () => {
    const [log, socket] = [join(dir, 'failing.log'), join(dir, 'failing.sock')]
    await writeFile(log, 'before\n')
    const script = 'head -c 20000 /dev/zero | tr "\\0" x; printf "the end" >&2; exit 3'
    const { exitCode, stderr } = await hostkit.runStart(command(['sh', '-c', script], { log, socket }))
    expect(exitCode).toBe(3)
    expect(stderr).toHaveLength(8192)
    expect(stderr).toMatch(/^x+the end$/)
    expect(await readFile(log, 'utf8')).toMatch(/^before\nx{20000}the end$/)
    await expect(stat(socket)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await hostkit.runStart(command(['sh', '-c', 'kill -TERM $$'], { log }))).toMatchObject({ exitCode: 143 })
  })

  it('have the environment and the directory that they were given, and no more', async () => {
    const shown = await hostkit.runStart(
      command(['sh', '-c', 'pwd; /usr/bin/env | sort; ls -1 /proc/self/fd | wc -l'], {
        env: { A: 'b c' },
        cwd: '/usr',
      }),
    )
    // sh adds PWD; ls has its own directory open besides the three standard ones.
    expect(shown.stderr).toBe('/usr\nA=b c\nPWD=/usr\n4\n')
  })

  it('see of the mounts of the host what they were given, and no more', async () => {
    const [own, other] = [join(dir, 'own'), join(dir, 'other')]
    for (const target of [own, other]) await hostkit.mountBind({ source: '/usr', target, readonly: true })
    try {
      const shown = await hostkit.runStart(
        command(['sh', '-c', 'ls "$0"/own/bin/env "$0"/other; grep -c "$0/" /proc/self/mountinfo', dir], {
          mounts: { keep: [dir], add: [own] },
        }),
      )
      expect(shown.stderr).toBe(`${own}/bin/env\n\n${other}:\n1\n`)
      const missing = hostkit.runStart(command(['true'], { mounts: { keep: [], add: [join(dir, 'none')] } }))
      await expect(missing).rejects.toMatchObject({ details: { errno: 'ENOENT' } })
    } finally {
      for (const target of [own, other]) await hostkit.unmount({ target })
    }
  })

  it('are ended at their time limit with all that they started', async () => {
    const slow = hostkit.runStart(command(['sh', '-c', 'sleep 61.25 & wait'], { timeoutMs: 200 }))
    await expect(slow).rejects.toMatchObject({ code: 'timeout', details: { errno: 'ETIMEDOUT' } })
    expect((await exec('ps', ['-eo', 'args'])).stdout).not.toContain('sleep 61.25')
  })

  it('are ended when nobody wants them any more', async () => {
    const controller = new AbortController()
    const slow = hostkit.runStart(command(['sleep', '62.25']), { signal: controller.signal })
    await vi.waitFor(async () => expect((await exec('ps', ['-eo', 'args'])).stdout).toContain('sleep 62.25'))
    controller.abort()
    await expect(slow).rejects.toMatchObject({ code: 'cancelled' })
    expect((await exec('ps', ['-eo', 'args'])).stdout).not.toContain('sleep 62.25')
    await expect(hostkit.runStart(command(['true']), { signal: controller.signal })).rejects.toMatchObject({
      code: 'cancelled',
    })
  })

  it('that are not installed are missing tools', async () => {
    for (const name of ['no-such-program', '/no/such/program']) {
      await expect(hostkit.runStart(command([name]))).rejects.toMatchObject({ code: 'missing_tool' })
    }
  })
})

describe('watching', () => {
  it('tells when a process ends, also one that is gone already', async () => {
    const child = execFile('sleep', ['60'])
    const pid = child.pid ?? 0
    let ended = false
    const watch = hostkit.procWatch({ pid, key: 'a' }).then(() => {
      ended = true
    })
    await hostkit.procWatch({ pid: 2 ** 22, key: 'b' })
    await sleep(50)
    expect(ended).toBe(false)
    child.kill()
    await watch
  })

  it('can be given up', async () => {
    const child = execFile('sleep', ['60'])
    try {
      const controller = new AbortController()
      const watch = hostkit.procWatch({ pid: child.pid ?? 0, key: 'a' }, { signal: controller.signal })
      controller.abort(new GibilError('interrupted', 'no longer of interest'))
      await expect(watch).rejects.toMatchObject({ code: 'interrupted' })
    } finally {
      child.kill()
    }
  })
})

forRoot('the self-test', () => {
  it('finds that everything works here, and leaves nothing', async () => {
    const folder = join(dir, 'selftest')
    const { stdout } = await exec(join(dir, 'hostkit'), ['selftest', '--dir', folder])
    const items = z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string() })).parse(JSON.parse(stdout))
    expect(items.filter(({ ok }) => !ok)).toEqual([])
    expect(items.length).toBeGreaterThan(4)
    expect(await readdir(folder)).toEqual([])
    expect(await leftovers()).toEqual([])
  })
})
