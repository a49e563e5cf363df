import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { buildCgroup } from '../src/build-cgroup.ts'
import type { ImageStore } from '../src/index.ts'
import { createTestStore, failureOf, makeRootfs, run, type TestStore, tarOf } from './tools.ts'

const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)('the image store', () => {
  let folder: string
  let test: TestStore
  let store: ImageStore

  const tree = async (files: Readonly<Record<string, string>>): Promise<string> => {
    const root = await mkdtemp(join(folder, 'tree-'))
    for (const [name, content] of Object.entries(files)) await writeFile(join(root, name), content)
    return root
  }
  const importFiles = async (name: string, files: Readonly<Record<string, string>>) =>
    store.importTar(name, await tarOf(await tree(files)))

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gibil-store-'))
    test = await createTestStore()
    store = await test.open()
  })
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true })
    await test.remove()
  })

  it('imports a root file system with owners, modes, links and capabilities', async () => {
    const root = join(folder, 'rootfs')
    await makeRootfs(root)
    await run('chmod', ['4755', join(root, 'usr/bin/id')])
    await run('ln', [join(root, 'usr/bin/cat'), join(root, 'usr/bin/hard')])
    await run('setcap', ['cap_setuid,cap_net_raw+ep', join(root, 'usr/bin/ls')])
    const image = await store.importTar('tiny', await tarOf(root, ['--xattrs', '--xattrs-include=security.capability']))
    expect(image).toMatchObject({ name: 'tiny', layers: 1, user: 'agent', source: 'tarball' })
    const { layers } = await store.resolve('tiny')
    const [layer = ''] = layers
    const look = async (program: string, ...args: string[]) => (await run(program, args, { cwd: layer })).stdout
    expect(await look('stat', '-c', '%a %u', 'usr/bin/id', 'home/agent')).toBe('4755 0\n755 1000\n')
    expect(await look('stat', '-c', '%h', 'usr/bin/hard')).toBe('2\n')
    expect(await look('getcap', 'usr/bin/ls')).toMatch(/cap_setuid.*=ep/)
    expect(await store.list()).toEqual([image])
    expect(await store.get(image.digest)).toEqual(image)
  })

  it.each(['gzip', 'xz', 'zstd'])('imports an archive compressed by %s', async (program) => {
    const plain = await tree({ a: 'content' })
    const { stdout } = await run('tar', ['-c', `--${program}`, '-C', plain, '.'], { encoding: 'buffer' })
    await store.importTar('packed', Readable.from([stdout], { objectMode: false }))
    const { layers } = await store.resolve('packed')
    expect(await readFile(join(layers[0] ?? '', 'a'), 'utf8')).toBe('content')
    const cut = await failureOf(
      store.importTar('cut', Readable.from([stdout.subarray(0, stdout.length - 12)], { objectMode: false })),
    )
    expect(cut.code).toBe('image_damaged')
    expect(await test.leftovers()).toEqual([])
  })

  it('refuses what is no root file system, and a stream that breaks', async () => {
    const streams = [
      Readable.from([Buffer.from('not an archive')], { objectMode: false }),
      Readable.from([], { objectMode: false }),
      await tarOf(await tree({})),
    ]
    for (const stream of streams) expect((await failureOf(store.importTar('bad', stream))).code).toBe('image_damaged')
    const broken = Readable.from(
      (async function* () {
        yield Buffer.alloc(100, 1)
        throw new Error('the connection broke')
      })(),
    )
    await failureOf(store.importTar('bad', broken))
    for (const name of ['', '../x', 'a b', 'sha256:abc', 'x'.repeat(300), '-x']) {
      expect((await failureOf(store.importTar(name, Readable.from([])))).code).toBe('invalid_request')
    }
    expect(await store.list()).toEqual([])
    expect([...(await test.readLayers()), ...(await test.leftovers())]).toEqual([])
  })

  it('unpacks nothing outside of the layer', async () => {
    const root = await tree({ x: 'evil' })
    const target = join(folder, 'target')
    await mkdir(target)
    await run('ln', ['-s', target, join(root, 'way')])
    const archive = join(folder, 'evil.tar')
    await run('tar', ['-cf', archive, '-C', root, 'way'])
    await run('tar', ['-rf', archive, '-C', root, '--transform', 's,^x$,way/x,', 'x'])
    const error = await failureOf(
      store.importTar('evil', Readable.from([await readFile(archive)], { objectMode: false })),
    )
    expect(error.code).toBe('image_damaged')
    expect(error.message).toContain('"way", which is not a directory')
    expect(await readdir(target)).toEqual([])
  })

  it('finds an image damaged, whatever of it is missing', async () => {
    const damage: Record<string, (layer: string) => Promise<unknown>> = {
      'a file': (layer) => rm(join(layer, 'a')),
      'a part of a file': (layer) => writeFile(join(layer, 'a'), ''),
      'its folder': (layer) => rm(layer, { recursive: true }),
      'its mark': (layer) => rm(`${layer}.json`),
      'a part of its mark': (layer) => writeFile(`${layer}.json`, '{"version":1'),
    }
    for (const [what, harm] of Object.entries(damage)) {
      const root = await tree({ a: what })
      await store.importTar('fragile', await tarOf(root))
      const { layers } = await store.resolve('fragile')
      await harm(layers[0] ?? '')
      // As the daemon's next start sees it: what was counted before may be trusted while it runs.
      const next = await test.open()
      const error = await failureOf(next.resolve('fragile'))
      expect(error.code, what).toBe('image_damaged')
      expect(error.hint).toContain('gibil image rm fragile')
      expect(await next.verify()).toEqual(['fragile'])
      await store.importTar('fragile', await tarOf(root))
      expect((await store.resolve('fragile')).layers, what).toEqual(layers)
      await store.remove('fragile')
      test.pass(120_000)
      await store.prune()
      expect(await test.readLayers()).toEqual([])
    }
  })

  it('does not take half a manifest for an image', async () => {
    await importFiles('half', { a: 'x' })
    const path = join(test.home, 'images/manifests/half.json')
    await writeFile(path, (await readFile(path, 'utf8')).slice(0, 100))
    const next = await test.open()
    expect(await next.list()).toEqual([])
    expect((await failureOf(next.resolve('half'))).code).toBe('image_damaged')
    await next.remove('half')
    expect((await failureOf(next.resolve('half'))).code).toBe('image_not_found')
    expect(await test.readLayers()).toEqual([])
  })

  it('keeps an image that a box uses, also when its name means another one', async () => {
    const first = await importFiles('app', { a: 'first' })
    test.used.add(first.digest)
    expect((await failureOf(store.remove('app'))).code).toBe('image_in_use')
    const second = await importFiles('app', { a: 'second' })
    expect(second.digest).not.toBe(first.digest)
    expect(await store.list()).toEqual([second])
    const next = await test.open()
    for (const one of [store, next]) {
      expect(await readFile(join((await one.resolve(first.digest)).layers[0] ?? '', 'a'), 'utf8')).toBe('first')
      expect((await one.resolve('app')).digest).toBe(second.digest)
    }
    test.used.clear()
    test.pass(120_000)
    expect((await store.prune()).removed).toHaveLength(1)
    expect((await failureOf(store.resolve(first.digest))).code).toBe('image_not_found')
    expect(await test.readLayers()).toHaveLength(1)
  })

  it('keeps an image just resolved for a box that is not written down yet', async () => {
    const first = await importFiles('app', { a: 'first' })
    const { layers } = await store.resolve('app')
    await importFiles('app', { a: 'second' })
    await store.prune()
    expect(await readFile(join(layers[0] ?? '', 'a'), 'utf8')).toBe('first')
    test.pass(120_000)
    await store.prune()
    expect((await failureOf(store.resolve(first.digest))).code).toBe('image_not_found')
  })

  it('shares equal layers, and removes them with the last image', async () => {
    const root = await tree({ a: 'same' })
    const one = await store.importTar('one', await tarOf(root))
    const two = await store.importTar('two', await tarOf(root))
    expect(two.digest).toBe(one.digest)
    expect(await test.readLayers()).toHaveLength(1)
    await store.remove('one')
    expect((await store.resolve('two')).digest).toBe(one.digest)
    test.pass(120_000)
    await store.remove('two')
    expect(await test.readLayers()).toEqual([])
    expect((await failureOf(store.remove('two'))).code).toBe('image_not_found')
  })

  it('leaves room on the disk of the host', async () => {
    const careful = await test.open({ reserveBytes: Number.MAX_SAFE_INTEGER })
    const error = await failureOf(careful.importTar('large', await tarOf(await tree({ a: 'x' }))))
    expect(error.code).toBe('disk_full')
    expect([...(await test.readLayers()), ...(await test.leftovers())]).toEqual([])
  })

  it('says which program is missing', async () => {
    const bare = await test.open({ env: { PATH: join(folder, 'nothing') } })
    const error = await failureOf(bare.importTar('x', await tarOf(await tree({ a: 'x' }))))
    expect(error).toMatchObject({ code: 'missing_tool', message: expect.stringContaining('tar') })
  })

  it('sweeps all that a killed build left, and nothing of one under way', async () => {
    const root = join(folder, 'rootfs')
    await makeRootfs(root)
    await store.importTar('tiny', await tarOf(root))
    await writeFile(join(folder, 'Dockerfile'), 'FROM tiny\nRUN echo begun; sleep 97531\n')
    const script = `
      import { openImageStore } from ${JSON.stringify(fileURLToPath(new URL('../src/index.ts', import.meta.url)))}
      const quiet = { debug() {}, info() {}, warn() {}, error() {} }
      const clock = { now: Date.now, after: () => () => {} }
      const options = { home: ${JSON.stringify(test.home)}, recipesDir: '/', env: process.env, arch: process.arch, clock, log: quiet }
      const store = await openImageStore({ ...options, digestsInUse: async () => new Set() })
      await store.build({ name: 'slow' }, ${JSON.stringify(folder)}, { onProgress: ({ message }) => message && console.log(message) })
    `
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      for await (const chunk of child.stdout) if (String(chunk).includes('begun')) break
      expect(await test.leftovers()).not.toEqual([])
      await test.open()
      expect(await test.leftovers()).not.toEqual([])
    } finally {
      child.kill('SIGKILL')
      await new Promise((resolve) => child.once('exit', resolve))
    }
    await test.open()
    expect(await test.leftovers()).toEqual([])
    const sleeping = () =>
      run('sh', ['-c', 'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " " | grep -c "sleep 9753[1]" || true'])
    await expect.poll(async () => (await sleeping()).stdout.trim()).toBe('0')
    await test.open()
    const name = buildCgroup(join(test.home, 'images'))
    expect((await run('find', ['/sys/fs/cgroup', '-maxdepth', '2', '-name', name])).stdout).toBe('')
  })
})
