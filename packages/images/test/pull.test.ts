import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { errorTable } from '@gibil/contract'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRuncRunner, type ImageStore } from '../src/index.ts'
import { credentials, type Registry, startRegistry } from './registry.ts'
import { createTestStore, failureOf, makeRootfs, run, type TestStore } from './tools.ts'

const isRoot = process.getuid?.() === 0

/** An image of three layers by umoci: a root file system; then files taken away; then one directory made anew. */
const makeImage = async (folder: string): Promise<string> => {
  const [image, bundle] = [join(folder, 'image'), join(folder, 'bundle')]
  await run('umoci', ['init', '--layout', image])
  await run('umoci', ['new', '--image', `${image}:v1`])
  const change = async (work: (rootfs: string) => Promise<unknown>) => {
    await rm(bundle, { recursive: true, force: true })
    await run('umoci', ['unpack', '--image', `${image}:v1`, bundle])
    await work(join(bundle, 'rootfs'))
    await run('umoci', ['repack', '--image', `${image}:v1`, bundle])
  }
  await change(async (rootfs) => {
    await makeRootfs(rootfs)
    await mkdir(join(rootfs, 'opt/old'), { recursive: true })
    await writeFile(join(rootfs, 'opt/old/a'), 'a')
    await writeFile(join(rootfs, 'opt/gone'), 'gone')
    await writeFile(join(rootfs, 'opt/setuid'), '#!/bin/sh\n')
    await run('chmod', ['4755', join(rootfs, 'opt/setuid')])
  })
  await change((rootfs) => rm(join(rootfs, 'opt/gone')))
  await change(async (rootfs) => {
    await rm(join(rootfs, 'opt/old'), { recursive: true })
    await mkdir(join(rootfs, 'opt/old'))
    await writeFile(join(rootfs, 'opt/old/b'), 'b')
  })
  const settings = ['--config.env', 'GREETING=hello there', '--config.workingdir', '/opt', '--config.user', 'nobody']
  await run('umoci', ['config', '--image', `${image}:v1`, ...settings])
  return image
}

const push = async (image: string, target: string): Promise<void> => {
  const creds = `${credentials.username}:${credentials.password}`
  await run('skopeo', [
    '--insecure-policy',
    'copy',
    '--dest-creds',
    creds,
    '--dest-tls-verify=false',
    `oci:${image}:v1`,
    target,
  ])
}

describe.skipIf(!isRoot)('pulling from a real registry', () => {
  let folder: string
  let registry: Registry
  let test: TestStore
  let store: ImageStore
  let reference: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gibil-registry-'))
    test = await createTestStore()
    store = await test.open()
    registry = await startRegistry(folder)
    reference = `${registry.address}/team/tools:v1`
    const image = await makeImage(folder)
    await push(image, `docker://${reference}`)
    await push(image, `docker://${registry.address}/team/same:v2`)
  })
  afterAll(async () => {
    await registry.stop()
    await rm(folder, { recursive: true, force: true })
    await test.remove()
  })

  it('pulls an image, runs in it, and shares its layers with another', async () => {
    const phases: string[] = []
    const image = await store.pull(
      { reference, plainHttp: true, ...credentials, name: 'tools' },
      { onProgress: ({ phase }) => phases.push(phase) },
    )
    expect(image).toMatchObject({
      name: 'tools',
      layers: 3,
      workdir: '/opt',
      user: 'agent',
      env: { GREETING: 'hello there' },
    })
    expect(phases).toContain('unpack')

    const { layers, env } = await store.resolve('tools')
    const step = join(folder, 'step')
    await mkdir(step)
    const lines: string[] = []
    const result = await createRuncRunner({
      env: process.env,
      root: join(test.home, 'images'),
      arch: process.arch,
    }).run({
      layers,
      folder: step,
      argv: ['sh', '-c', 'echo $GREETING; ls /opt /opt/old; stat -c "%a %u" /opt/setuid /home/agent; id -G'],
      env: { PATH: '/bin', ...env },
      cwd: '/opt',
      user: { uid: 1000, gid: 1000, groups: [10], home: '/home/agent' },
      network: { kind: 'none' },
      onLine: (line) => lines.push(line),
    })
    expect(result.exitCode).toBe(0)
    expect(lines).toEqual([
      'hello there',
      '/opt:',
      'old',
      'setuid',
      '',
      '/opt/old:',
      'b',
      '4755 0',
      '755 1000',
      '1000 10',
    ])

    const before = await test.readLayers()
    const other = await store.pull({ reference: `${registry.address}/team/same:v2`, plainHttp: true, ...credentials })
    expect(other.digest).toBe(image.digest)
    expect(await test.readLayers()).toEqual(before)
    await store.remove('tools')
    expect(await test.readLayers()).toEqual(before)
    test.pass(120_000)
    await store.remove(other.name)
    expect(await test.readLayers()).toEqual([])
    expect(await test.leftovers()).toEqual([])
  })

  it.each([
    ['a tag that does not exist', () => ({ reference: `${registry.address}/team/tools:v9`, ...credentials })],
    ['a repository that does not exist', () => ({ reference: `${registry.address}/nobody/none`, ...credentials })],
    ['a wrong password', () => ({ reference, username: credentials.username, password: 'wrong' })],
    ['no credentials', () => ({ reference })],
    ['a registry that is not there', () => ({ reference: '127.0.0.1:1/team/tools:v1' })],
    ['something that is no reference', () => ({ reference: 'Not A Reference', name: 'x' })],
  ])('refuses %s and leaves nothing', async (_, input) => {
    const error = await failureOf(store.pull({ plainHttp: true, ...input() }))
    expect(error.code).toBe('image_pull_failed')
    expect(error.hint).not.toBe('')
    expect(JSON.stringify(error.toBody())).not.toContain(credentials.password)
    expect(await store.list()).toEqual([])
    expect([...(await test.readLayers()), ...(await test.leftovers())]).toEqual([])
  })

  it('says that a registry without TLS needs --plain-http', async () => {
    const error = await failureOf(store.pull({ reference, ...credentials }))
    expect(error.code).toBe('image_pull_failed')
    expect(error.hint).toContain('--plain-http')
  })

  it('refuses a corrupted layer and leaves nothing', async () => {
    const blobs = join(registry.storage, 'docker/registry/v2/blobs/sha256')
    const paths = await Promise.all(
      (await readdir(blobs)).map(async (two) =>
        (await readdir(join(blobs, two))).map((id) => join(blobs, two, id, 'data')),
      ),
    )
    const sized = await Promise.all(paths.flat().map(async (path) => ({ path, size: (await stat(path)).size })))
    const largest = sized.sort((a, b) => b.size - a.size)[0]
    if (!largest) throw new Error('the registry holds no blobs')
    const content = await readFile(largest.path)
    const damaged = Buffer.from(content)
    damaged[1000] = (damaged[1000] ?? 0) ^ 0xff
    await writeFile(largest.path, damaged)
    try {
      const error = await failureOf(store.pull({ reference, plainHttp: true, ...credentials }))
      expect(error.code).toBe('image_pull_failed')
      expect(error.hint).toBe(errorTable.image_pull_failed.hint)
    } finally {
      await writeFile(largest.path, content)
    }
    expect([...(await test.readLayers()), ...(await test.leftovers())]).toEqual([])
    expect((await store.pull({ reference, plainHttp: true, ...credentials })).layers).toBe(3)
  })
})
