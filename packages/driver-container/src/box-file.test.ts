import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { homeNames } from '@gibil/host'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type BoxFile, readBoxFile, writeBoxFile } from './box-file.ts'
import { boxPaths } from './box-paths.ts'

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'home-'))
})
afterEach(() => rm(home, { recursive: true, force: true }))

const box: BoxFile = {
  version: 1,
  phase: 'creating',
  slot: 3,
  uidBase: 0x7000_0000,
  address: null,
  spec: {
    id: 'b1',
    hostname: 'w',
    image: { name: 'base', digest: 'sha256:0', layers: ['/layers/a'], env: {}, workdir: null, user: null },
    size: { cpu: 1, memoryMib: 256, diskMib: 256 },
    network: 'internet',
    isolation: 'namespaces',
    labels: {},
  },
}

it('gives back what was written and leaves no other file', async () => {
  const paths = boxPaths(homeNames(home), 'b1')
  expect(await readBoxFile(paths)).toEqual({ kind: 'missing' })
  await mkdir(paths.kept, { recursive: true })
  for (const durable of [false, true]) {
    await writeBoxFile(paths, box, { durable })
    expect(await readBoxFile(paths)).toEqual({ kind: 'box', box })
  }
  expect(await readdir(paths.kept)).toEqual(['box.json'])
})

it.each(['', '{', '[]', JSON.stringify({ ...box, slot: 5000 }), JSON.stringify({ ...box, version: 9 })])(
  'calls %j damaged',
  async (text) => {
    const paths = boxPaths(homeNames(home), 'b1')
    await mkdir(paths.kept, { recursive: true })
    await writeFile(paths.boxFile, text)
    expect(await readBoxFile(paths)).toEqual({ kind: 'damaged' })
  },
)
