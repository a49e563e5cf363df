import { zstdCompressSync } from 'node:zlib'
import { type BoxManifest, GibilError } from '@gibil/contract'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { inPieces } from '../../../../test/support/hostile-tar.ts'
import { encodeHeader, paddingOf, tarEnd } from '../tar-write.ts'
import { openBoxFile } from './read.ts'
import { type Written, writeBoxFile } from './write.ts'

const manifest: BoxManifest = {
  format: 'gibil-box',
  version: 1,
  gibil: '0.1.0',
  exportedAt: '2026-01-01T00:00:00.000Z',
  arch: 'x86',
  name: 'web',
  shape: 'container',
  provider: 'local',
  image: 'base',
  imageDefaults: { env: { PATH: '/bin' }, workdir: null, user: 'agent' },
  size: { cpu: 1, memoryMib: 256, diskMib: 1024 },
  isolation: 'namespaces',
  user: 'agent',
  envNames: ['WORD'],
  env: null,
  labels: { team: 'ä' },
  network: 'internet',
  egress: { allow: [], deny: [] },
  published: [{ port: 80, public: false }],
  repo: null,
  config: null,
  hooked: false,
  lease: { ttlSeconds: 60, idleSeconds: null, onExpire: 'stop', onIdle: null, onFailure: 'restart' },
  tree: { entries: 1, bytes: 4096, maxId: 1000, maxIdPath: '/home' },
}

const entry = (name: string, content: string): Buffer[] => {
  const bytes = Buffer.from(content)
  const header = { name, type: 'file', mode: 0o644, uid: 1, gid: 1, mtime: 1, link: '', xattrs: new Map() } as const
  return [encodeHeader({ ...header, size: bytes.length }), bytes, paddingOf(bytes.length)]
}
const report = (): Buffer => {
  const told = JSON.stringify({ entries: 2, changed: ['etc/x'], changedCount: 1, sockets: 0 })
  const record = ` GIBIL.report=${told}\n`
  const data = Buffer.from(`${record.length + 2}${record}`)
  expect(data.length).toBeLessThan(100)
  const header = Buffer.from(
    encodeHeader({
      name: 'x',
      type: 'file',
      mode: 0,
      uid: 0,
      gid: 0,
      size: data.length,
      mtime: 0,
      link: '',
      xattrs: new Map(),
    }),
  )
  header.write('g', 156)
  header.write('        ', 148)
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  )
  return Buffer.concat([header, data, paddingOf(data.length)])
}
const tree = Buffer.concat([...entry('etc/x', 'hello'), ...entry('big', 'y'.repeat(5000)), report(), tarEnd])

const all = async (chunks: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const parts: Uint8Array[] = []
  for await (const part of chunks) parts.push(part)
  return Buffer.concat(parts)
}
const fileOf = async (box: unknown, of: Buffer, onWhole: (written: Written) => void = () => undefined) =>
  all(writeBoxFile(box as BoxManifest, inPieces(of, 700), onWhole))
const file = await fileOf(manifest, tree)
/** What a reader makes of it: manifest and tree, or the code and message of its error. */
const read = async (bytes: Buffer, size = 1000): Promise<{ manifest: unknown; tree: Buffer } | GibilError> => {
  try {
    const opened = await openBoxFile(inPieces(bytes, size))
    return { manifest: opened.manifest, tree: await all(opened.tree) }
  } catch (error) {
    if (GibilError.is(error)) return error
    throw error
  }
}
const refused = (why: RegExp) => ({ code: 'box_file_invalid', message: expect.stringMatching(why) })

test('what is written is read again, in pieces of any size, compressed or not', async () => {
  const told: Written[] = []
  const bytes = await fileOf(manifest, tree, (written) => told.push(written))
  expect(bytes).toEqual(file)
  expect(told).toMatchObject([{ bytes: file.length - 2048, report: { changed: ['etc/x'], changedCount: 1 } }])
  for (const size of [1, 511, 512, 4096, 1e6]) expect(await read(file, size)).toEqual({ manifest, tree })
  expect(await read(zstdCompressSync(file))).toEqual({ manifest, tree })
})

test('one that is cut off at any byte is refused', async () => {
  const compressed = zstdCompressSync(file)
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: file.length - 1 }), async (length) => {
      expect(await read(file.subarray(0, length))).toMatchObject({ code: 'box_file_invalid' })
      const part = compressed.subarray(0, Math.floor((length / file.length) * compressed.length))
      expect(await read(part)).toMatchObject({ code: 'box_file_invalid' })
    }),
    { numRuns: 60 },
  )
})

test('one with any other byte, or more of them, is refused', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
      const bad = Buffer.from(file)
      bad[at] = (bad[at] ?? 0) ^ flip
      expect(await read(bad)).toMatchObject({ code: 'box_file_invalid' })
    }),
    { numRuns: 100 },
  )
  expect(await read(Buffer.concat([file, Buffer.alloc(512)]))).toMatchObject(refused(/cut off|checksum/))
  const flipped = Buffer.from(file)
  flipped.write('j', file.indexOf('hello'))
  expect(await read(flipped)).toMatchObject(refused(/checksum/))
})

test('what was never a box, or is one of a newer version, is told apart', async () => {
  expect(await read(tree)).toMatchObject(refused(/not the file of an exported box/))
  expect(await read(Buffer.from('no archive at all'))).toMatchObject({ code: 'box_file_invalid' })
  expect(await read(Buffer.alloc(0))).toMatchObject({ code: 'box_file_invalid' })
  expect(await read(await fileOf({ ...manifest, version: 2, gibil: '9.9.9' }, tree))).toMatchObject(
    refused(/Gibil 9\.9\.9 in version 2 .* knows 1/),
  )
  expect(await read(await fileOf({ ...manifest, name: '../etc' }, tree))).toMatchObject(refused(/manifest .* name/))
})

test('a tree that is not whole becomes no file', async () => {
  for (const length of [0, 600, tree.length - 1500, tree.length - 1024, tree.length - 512]) {
    await expect(fileOf(manifest, tree.subarray(0, length))).rejects.toMatchObject({ code: 'boxd_protocol' })
  }
  const unreported = Buffer.concat([...entry('a', 'b'), tarEnd])
  await expect(fileOf(manifest, unreported)).rejects.toMatchObject({ code: 'boxd_protocol' })
})
