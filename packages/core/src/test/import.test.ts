import { Readable } from 'node:stream'
import { type BoxManifest, GibilError } from '@gibil/contract'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { SaveTree } from '../index.ts'
import { startWorld, type World } from './world.ts'

const manifest: BoxManifest = {
  format: 'gibil-box',
  version: 1,
  gibil: '0.1.0',
  exportedAt: '2026-01-01T00:00:00.000Z',
  arch: 'x86',
  name: 'web',
  shape: 'container',
  provider: 'local',
  image: 'theirs',
  imageDefaults: { env: { FROM_THEIRS: '1' }, workdir: null, user: 'agent' },
  size: { cpu: 1, memoryMib: 256, diskMib: 2048 },
  isolation: 'namespaces',
  user: 'agent',
  envNames: ['A', 'B'],
  env: { A: 'a', B: 'b' },
  labels: { team: 'x' },
  network: 'internet',
  egress: { allow: [], deny: ['10.0.0.0/8'] },
  published: [{ port: 3000, public: false }],
  repo: { source: 'https://me:secret@git.example/you/project', branch: 'main' },
  config: 'services:\n  db: { command: start-db }\ntasks:\n  - run-tests\n',
  hooked: false,
  lease: { ttlSeconds: 7200, idleSeconds: null, onExpire: 'stop', onIdle: null, onFailure: 'stop' },
  tree: { entries: 10, bytes: 1e6, maxId: 1000, maxIdPath: '/home/agent' },
}

let world: World
let saved: SaveTree[]
const saveTree = async (input: SaveTree) => {
  saved.push(input)
  const image = {
    name: 'sha256:tree',
    digest: 'sha256:tree',
    source: input.source,
    sizeBytes: 1,
    layers: 1,
    createdAt: '',
  }
  world.images.set(image.digest, {
    name: image.digest,
    digest: image.digest,
    layers: ['/tree'],
    env: {},
    workdir: null,
    user: 'agent',
  })
  return {
    image: { ...image, env: {}, workdir: null, user: null },
    bytes: 1,
    report: { entries: 1, changed: [], changedCount: 0, sockets: 0 },
  }
}

beforeEach(async () => {
  world = await startWorld()
  world.command(/start-db/, 'hangs')
  saved = []
  await world.restart({ images: { ...world.deps().images, saveTree } })
})
afterEach(() => world.close())

const read = (change: Partial<BoxManifest>, wish = {}) =>
  world.clock.until(world.plane.importBox({ manifest: { ...manifest, ...change }, tree: Readable.from([]), wish }, {}))

test('a box is what the file says but for what is asked for; services start, and tasks have been', async () => {
  const box = await read({}, { name: 'other', ttl: '1h', env: { B: 'given' } })
  expect(box).toMatchObject({
    name: 'other',
    readiness: 'ready',
    image: 'theirs',
    size: manifest.size,
    labels: manifest.labels,
    egress: manifest.egress,
    published: manifest.published,
    onFailure: 'stop',
    repo: { source: 'https://git.example/you/project', branch: 'main' },
    lease: { ttlSeconds: 3600, onExpire: 'stop' },
  })
  const lines = world.host.ran.map(({ line }) => line)
  expect(lines.join('\n')).toContain('start-db')
  expect(lines.join('\n')).not.toMatch(/run-tests|git clone/)
  expect(world.box(box.id).configured).toMatchObject({ cwd: '~/project', env: { A: 'a', B: 'given' } })
  expect(saved).toMatchObject([{ name: null, of: manifest.imageDefaults }])
  expect((await world.store.getBox(box.id))?.published[0]?.secret).toMatch(/^[0-9a-f]{32}$/)
})

test('what can be refused without the tree is refused before it is read', async () => {
  await read({}, {})
  saved = []
  const refused = [
    ['name_in_use', {}, {}],
    ['unsupported_by_shape', {}, { name: 'b', shape: 'vm' }],
    ['unsupported_by_shape', { name: 'b', tree: { ...manifest.tree, maxId: 70_000 } }, {}],
    ['invalid_size', { name: 'b', tree: { ...manifest.tree, bytes: 1e11 } }, {}],
    ['invalid_config', { name: 'b', config: 'nothing: known' }, {}],
    ['lease_out_of_range', { name: 'b' }, { ttl: '3y' }],
  ] as const
  for (const [code, change, wish] of refused) {
    await expect(read(change, wish), code).rejects.toMatchObject({
      code: expect.stringMatching(`^(${code}|invalid_duration)$`),
    })
  }
  expect(saved).toEqual([])
  expect(await world.plane.list()).toHaveLength(1)
})

test('of a tree that is not whole no box is made', async () => {
  const damaged = async (): Promise<never> => {
    throw new GibilError('image_damaged', 'The archive ends in the middle.')
  }
  await world.restart({ images: { ...world.deps().images, saveTree: damaged } })
  await expect(read({})).rejects.toMatchObject({ code: 'box_file_invalid' })
  expect(await world.plane.list()).toEqual([])
})
