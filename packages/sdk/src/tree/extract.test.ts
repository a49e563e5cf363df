import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { GibilError } from '@gibil/contract'
import { pack } from 'tar-stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { extractTree } from './extract.ts'

let dir: string
let target: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-extract-'))
  target = join(dir, 'target')
  await writeFile(join(dir, 'outside'), 'untouched')
})
afterEach(() => rm(dir, { recursive: true, force: true }))

interface Item {
  readonly name: string
  readonly type?: 'file' | 'directory' | 'symlink' | 'link' | 'fifo' | 'character-device'
  readonly linkname?: string
  readonly mode?: number
  readonly data?: string
  readonly mtime?: Date
}

/** An archive as a box could send it: nothing about it is checked. */
function archive(items: readonly Item[]): Readable {
  const tar = pack()
  for (const { data = '', ...header } of items) tar.entry(header, data)
  tar.finalize()
  return Readable.from(tar)
}

const outsideIsUntouched = async (): Promise<void> => {
  expect(await readFile(join(dir, 'outside'), 'utf8')).toBe('untouched')
  expect((await readdir(dir)).sort()).toEqual(['outside', 'target'])
}

describe('an honest archive', () => {
  test('files, directories, links and modes', async () => {
    const result = await extractTree(
      archive([
        { name: './', type: 'directory' },
        { name: './bin/', type: 'directory', mode: 0o755 },
        { name: './bin/tool', mode: 0o755, data: '#!/bin/sh\n' },
        { name: './bin/same', type: 'link', linkname: './bin/tool' },
        { name: './bin/short', type: 'symlink', linkname: 'tool' },
        { name: './top', type: 'symlink', linkname: 'bin/tool' },
        { name: './deep/er/up', type: 'symlink', linkname: '../../bin' },
      ]),
      target,
    )
    expect(result).toMatchObject({ files: 2, skipped: [] })
    expect(await readFile(join(target, 'top'), 'utf8')).toBe('#!/bin/sh\n')
    expect((await stat(join(target, 'bin/tool'))).mode & 0o777).toBe(0o755)
    expect((await stat(join(target, 'bin/same'))).ino).toBe((await stat(join(target, 'bin/tool'))).ino)
    expect(await readlink(join(target, 'deep/er/up'))).toBe('../../bin')
  })

  test.each([
    ['small', 'new'],
    ['large', 'new'.repeat(100_000)],
  ])('replaces a file that was there by a %s one and keeps its neighbours', async (_, data) => {
    await mkdir(target)
    await writeFile(join(target, 'a'), 'old')
    await writeFile(join(target, 'b'), 'kept')
    await extractTree(archive([{ name: 'a', data }]), target)
    expect(await readFile(join(target, 'a'), 'utf8')).toBe(data)
    expect((await readdir(target)).sort()).toEqual(['a', 'b'])
  })

  test('files of every size have their time and mode', async () => {
    const sizes = [0, 1, 511, 512, 65_536, 65_537, 200_000]
    const mtime = new Date('2020-02-02T02:02:02Z')
    const items = sizes.map((size) => ({ name: `d/${size}`, data: 'x'.repeat(size), mode: 0o640, mtime }))
    expect(await extractTree(archive(items), target)).toMatchObject({ files: sizes.length, skipped: [] })
    for (const size of sizes) {
      const info = await stat(join(target, `d/${size}`))
      expect([info.size, info.mode & 0o777, info.mtimeMs]).toEqual([size, 0o640, mtime.getTime()])
    }
  })
})

test('a stream that failed before it was read is an error and no endless wait', async () => {
  const source = new Readable({ read: () => undefined })
  source.on('error', () => undefined)
  source.destroy(new GibilError('interrupted', 'The connection was lost.'))
  await expect(extractTree(source, target)).rejects.toMatchObject({ code: 'interrupted' })
})

describe('a hostile archive', () => {
  test.each(['../outside', 'a/../../outside', '/etc/gibil-test', 'a/..'])(
    'the name %s ends the unpacking',
    async (name) => {
      await expect(extractTree(archive([{ name, data: 'evil' }]), target)).rejects.toMatchObject({
        code: 'boxd_protocol',
      })
      await outsideIsUntouched()
    },
  )

  test('a symlink out of the tree is left out, and nothing goes through it', async () => {
    const result = await extractTree(
      archive([
        { name: 'exit', type: 'symlink', linkname: '..' },
        { name: 'abs', type: 'symlink', linkname: dir },
        { name: 'abs/outside', data: 'evil' },
        { name: 'exit/outside', data: 'evil' },
      ]),
      target,
    )
    await outsideIsUntouched()
    expect((await lstat(join(target, 'exit'))).isDirectory()).toBe(true)
    expect(result.skipped.map(({ path }) => path)).toEqual(['exit', 'abs'])
  })

  test('a chain of links that each stay inside cannot climb out together', async () => {
    const result = await extractTree(
      archive([
        { name: 'here', type: 'symlink', linkname: '.' },
        { name: 'climb', type: 'symlink', linkname: 'here/here/../../..' },
        { name: 'a/b/up', type: 'symlink', linkname: '../../..' },
      ]),
      target,
    )
    expect(result.skipped.map(({ path }) => path)).toEqual(['climb', 'a/b/up'])
    await outsideIsUntouched()
  })

  test('a symlink of the user in the target is replaced, not written through', async () => {
    await mkdir(target)
    for (const [name, to] of [
      ['file', join(dir, 'outside')],
      ['dangling', join(dir, 'nothing')],
    ] as const) {
      await symlink(to, join(target, name))
      await extractTree(archive([{ name, data: 'new' }]), target)
      expect(await readFile(join(target, name), 'utf8')).toBe('new')
    }
    await outsideIsUntouched()
  })

  test('a symlinked directory of the user in the target is not passed through', async () => {
    await mkdir(target)
    await symlink(dir, join(target, 'link'))
    const extracting = extractTree(archive([{ name: 'link/outside', data: 'evil' }]), target)
    await expect(extracting).rejects.toMatchObject({ code: 'file_conflict' })
    await outsideIsUntouched()
  })

  test('a hard link to a file of the host is left out', async () => {
    const result = await extractTree(
      archive([
        { name: 'steal', type: 'link', linkname: 'other' },
        { name: 'other', data: 'x' },
      ]),
      target,
    )
    expect(result.skipped).toMatchObject([{ path: 'steal' }])
    await expect(
      extractTree(archive([{ name: 'steal', type: 'link', linkname: '../outside' }]), target),
    ).rejects.toMatchObject({ code: 'boxd_protocol' })
    await outsideIsUntouched()
  })

  test('devices and pipes are left out; setuid, setgid and sticky bits are dropped', async () => {
    const result = await extractTree(
      archive([
        { name: 'null', type: 'character-device' },
        { name: 'pipe', type: 'fifo' },
        { name: 'root', mode: 0o6755, data: 'x' },
        { name: 'dir', type: 'directory', mode: 0o7000 },
        { name: 'dir/inside', data: 'x' },
      ]),
      target,
    )
    expect((await readdir(target)).sort()).toEqual(['dir', 'root'])
    expect((await stat(join(target, 'root'))).mode & 0o7777).toBe(0o755)
    expect((await stat(join(target, 'dir'))).mode & 0o7777).toBe(0o700)
    expect(result.skipped.map(({ path }) => path)).toEqual(['null', 'pipe'])
  })

  test('more bytes than allowed', async () => {
    const tar = archive([{ name: 'big', data: 'x'.repeat(2000) }])
    await expect(extractTree(tar, target, { maxBytes: 1000 })).rejects.toMatchObject({ code: 'payload_too_large' })
    expect(await readdir(target)).toEqual([])
  })

  test.each([5000, 500_000])('an archive that breaks off in a file of %i bytes leaves no half file', async (size) => {
    const whole: Buffer[] = []
    for await (const chunk of archive([{ name: 'big', data: 'x'.repeat(size) }])) whole.push(chunk)
    const half = Readable.from([Buffer.concat(whole).subarray(0, 2000)])
    await expect(extractTree(half, target)).rejects.toMatchObject({ code: 'boxd_protocol' })
    expect(await readdir(target)).toEqual([])
  })

  test('a directory where a file is, and a file where a directory is', async () => {
    await mkdir(join(target, 'd'), { recursive: true })
    await writeFile(join(target, 'f'), '')
    await expect(extractTree(archive([{ name: 'd', data: 'x' }]), target)).rejects.toMatchObject({
      code: 'file_conflict',
    })
    await expect(extractTree(archive([{ name: 'f/x', data: 'x' }]), target)).rejects.toMatchObject({
      code: 'file_conflict',
    })
  })
})

test.each(['0', '5'])(
  'an entry of type %s whose size cannot be read ends the download, and does not hang it',
  async (type) => {
    const header = Buffer.alloc(512)
    header.write('name', 0)
    header.write('000644 \0', 100)
    header.write('x'.repeat(12), 124)
    header.write(' '.repeat(8), 148)
    header.write(type, 156)
    header.write('ustar\x0000', 257)
    const sum = header.reduce((total, byte) => total + byte, 0)
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    const unpacked = extractTree(Readable.from([header], { objectMode: false }), target)
    await expect(unpacked).rejects.toMatchObject({ code: 'boxd_protocol' })
  },
)
