import { Readable } from 'node:stream'
import fc from 'fast-check'
import { extract, pack } from 'tar-stream'
import { describe, expect, it } from 'vitest'
import { type ArchiveKind, safeArchive } from './safe-entries.ts'
import { type TarHeader, toBytes } from './tar-format.ts'
import { readTar } from './tar-read.ts'
import { encodeHeader, paddingOf, tarEnd } from './tar-write.ts'

const entry = (name: string, more: Partial<TarHeader> = {}): TarHeader => ({
  name,
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  link: '',
  xattrs: new Map(),
  ...more,
})

const archive = (...entries: readonly (readonly [TarHeader, string?])[]): Buffer =>
  Buffer.concat([
    ...entries.flatMap(([header, content = '']) => {
      const body = Buffer.from(content)
      return [encodeHeader({ ...header, size: body.length }), body, paddingOf(body.length)]
    }),
    tarEnd,
  ])

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

interface Read extends Omit<TarHeader, 'xattrs'> {
  readonly content: string
  readonly xattrs: Record<string, string>
}

const read = async (bytes: Buffer, size = 777, needsEnd = false): Promise<Read[]> => {
  const found: Read[] = []
  for await (const { body, xattrs, ...header } of readTar(inPieces(bytes, size), needsEnd)) {
    const parts: Buffer[] = []
    for await (const part of body) parts.push(part)
    const attributes = Object.fromEntries([...xattrs].map(([key, value]) => [key, value.toString('hex')]))
    found.push({ ...header, content: Buffer.concat(parts).toString(), xattrs: attributes })
  }
  return found
}

const safe = async (kind: ArchiveKind, ...entries: readonly (readonly [TarHeader, string?])[]): Promise<Read[]> => {
  const parts: Buffer[] = []
  for await (const part of safeArchive(readTar(inPieces(archive(...entries), 1000)), kind)) parts.push(part)
  return read(Buffer.concat(parts))
}
const names = (entries: readonly Read[]): string[] =>
  entries.map((one) =>
    one.xattrs['trusted.overlay.opaque']
      ? `${one.name} (opaque)`
      : one.type === 'character'
        ? `${one.name} (gone)`
        : one.name,
  )

describe('tar archives', () => {
  it('keeps all that an entry says, in pieces of any size', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          name: fc
            .string({ minLength: 1, maxLength: 300, unit: 'binary' })
            .map(toBytes)
            .filter((one) => !/^[\0]|\0|\/$/.test(one)),
          mode: fc.integer({ min: 0, max: 0o7777 }),
          uid: fc.integer({ min: 0, max: 2 ** 31 }),
          gid: fc.integer({ min: 0, max: 2 ** 31 }),
          mtime: fc.integer({ min: -(2 ** 33), max: 2 ** 36 }),
          attribute: fc.uint8Array({ maxLength: 40 }),
          content: fc.string({ maxLength: 2000 }),
          piece: fc.integer({ min: 1, max: 3000 }),
        }),
        async ({ attribute, content, piece, ...header }) => {
          const xattrs = new Map([['user.x', Buffer.from(attribute)]])
          const [found] = await read(archive([entry(header.name, { ...header, xattrs }), content]), piece, true)
          const { size: _, device: __, ...rest } = found ?? entry('')
          expect(rest).toMatchObject({
            ...header,
            content,
            xattrs: { 'user.x': Buffer.from(attribute).toString('hex') },
          })
        },
      ),
      { numRuns: 60 },
    )
  })

  it("reads tar-stream's archives, and tar-stream reads ours", async () => {
    const theirs = pack()
    theirs.entry({ name: `${'long/'.repeat(60)}ä`, mode: 0o750, uid: 5, gid: 6, mtime: new Date(1000) }, 'content')
    theirs.entry({ name: 'link', type: 'symlink', linkname: 'target' })
    theirs.finalize()
    const [file, link] = await read(Buffer.concat(await Readable.from(theirs).toArray()))
    expect(file).toMatchObject({
      name: toBytes(`${'long/'.repeat(60)}ä`),
      mode: 0o750,
      uid: 5,
      gid: 6,
      mtime: 1,
      content: 'content',
    })
    expect(link).toMatchObject({ type: 'symlink', link: 'target' })

    const ours = archive(
      [entry(toBytes(`${'x'.repeat(150)}ä`), { uid: 7 }), 'hello'],
      [entry('s', { type: 'symlink', link: 'y'.repeat(120) })],
    )
    const reader = extract()
    Readable.from([ours]).pipe(reader)
    const seen: unknown[] = []
    for await (const one of reader) {
      seen.push({ name: one.header.name, uid: one.header.uid, link: one.header.linkname, size: one.header.size })
      one.resume()
    }
    expect(seen).toEqual([
      { name: `${'x'.repeat(150)}ä`, uid: 7, link: null, size: 5 },
      { name: 's', uid: 0, link: 'y'.repeat(120), size: 0 },
    ])
  })

  it('never takes a damaged or cut archive for a whole one', async () => {
    const whole = archive(
      [entry('a'), 'x'.repeat(1000)],
      [entry('b'.repeat(200), { xattrs: new Map([['user.a', Buffer.from('v')]]) }), 'y'],
    )
    for (let at = 0; at < whole.length - 512; at += 100)
      await expect(read(whole.subarray(0, at), 777, true)).rejects.toThrow('archive')
    for (const at of [0, 100, 130, 150, 156]) {
      const damaged = Buffer.from(whole)
      damaged[at] = (damaged[at] ?? 0) ^ 0x15
      await expect(read(damaged)).rejects.toThrow()
    }
    await expect(read(Buffer.from('this is text and no archive'.repeat(50)))).rejects.toThrow('not a tar archive')
  })

  it('survives any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 4096 }), async (bytes) => {
        await read(Buffer.from(bytes)).catch((error: unknown) => expect(error).toMatchObject({ name: 'TarError' }))
      }),
      { numRuns: 100 },
    )
  })
})

describe('safe archives', () => {
  it('takes names from the root and adds missing folders', async () => {
    const result = await safe(
      'tree',
      [entry('/etc/passwd'), 'x'],
      [entry('./a/./b//c')],
      [entry('./', { type: 'directory', mode: 0o777 })],
    )
    expect(names(result)).toEqual(['etc', 'etc/passwd', 'a', 'a/b', 'a/b/c'])
    expect(result[0]).toMatchObject({ type: 'directory', mode: 0o755, uid: 0 })
  })

  it.each([
    ['a name that climbs', [[entry('../x')]]],
    ['a name that climbs inside', [[entry('a/../../x')]]],
    ['a file through a symbolic link', [[entry('a', { type: 'symlink', link: '/etc' })], [entry('a/passwd'), 'x']]],
    [
      'a folder through a symbolic link',
      [[entry('a', { type: 'symlink', link: '/' })], [entry('a', { type: 'directory' })]],
    ],
    ['a deep way through a symbolic link', [[entry('a/b', { type: 'symlink', link: '..' })], [entry('a/b/c/d'), 'x']]],
    [
      'a file through a file',
      [
        [entry('a'), 'x'],
        [entry('a/b'), 'y'],
      ],
    ],
    [
      'a file through a hard link',
      [[entry('s', { type: 'symlink', link: '/etc' })], [entry('h', { type: 'link', link: 's' })], [entry('h/x')]],
    ],
    ['a hard link out of the tree', [[entry('h', { type: 'link', link: '/etc/shadow' })]]],
    ['a hard link that climbs', [[entry('h', { type: 'link', link: '../x' })]]],
    ['a hard link to a folder', [[entry('d', { type: 'directory' })], [entry('h', { type: 'link', link: 'd' })]]],
    ['a hard link to itself', [[entry('h'), 'x'], [entry('h', { type: 'link', link: 'h' })]]],
    ['a hard link to what is gone', [[entry('.wh.x')], [entry('h', { type: 'link', link: 'x' })]]],
    [
      'a file in place of a folder',
      [
        [entry('d/x'), 'x'],
        [entry('d'), 'y'],
      ],
    ],
    ['a symbolic link in place of a folder', [[entry('d/x'), 'x'], [entry('d', { type: 'symlink', link: '/' })]]],
    ['the removal of a parent', [[entry('a/.wh...')]]],
    ['the removal of nothing', [[entry('.wh.')]]],
    ['the removal of the whole root', [[entry('.wh..wh..opq')]]],
  ] satisfies [string, (readonly [TarHeader, string?])[]][])('refuses %s', async (_, entries) => {
    await expect(safe('layer', ...entries)).rejects.toThrow('archive')
  })

  it('leaves device nodes and dangerous attributes out', async () => {
    const xattrs = new Map(
      [
        'security.capability',
        'user.mime',
        'trusted.overlay.redirect',
        'trusted.overlay.opaque',
        'security.selinux',
        'system.posix_acl_access',
      ].map((key): [string, Buffer] => [key, Buffer.from([1, 0x80, 0xff])]),
    )
    const device = { major: 0, minor: 0 }
    const result = await safe(
      'tree',
      [entry('dev/sda', { type: 'block', device })],
      [entry('gone', { type: 'character', device })],
      [entry('f', { xattrs }), 'x'],
    )
    expect(names(result)).toEqual(['f'])
    expect(result[0]?.xattrs).toEqual({ 'security.capability': '0180ff', 'user.mime': '0180ff' })
  })

  it('turns removals of a layer into those of overlayfs', async () => {
    const result = await safe(
      'layer',
      [entry('a', { type: 'directory', mode: 0o700 })],
      [entry('a/.wh..wh..opq')],
      [entry('a/new'), 'x'],
      [entry('b/.wh.old')],
      [entry('.wh..wh.plnk')],
      [entry('.wh.c')],
      [entry('c', { type: 'directory' })],
      [entry('d', { type: 'directory' })],
      [entry('.wh.d')],
      [entry('e'), 'x'],
      [entry('.wh.e')],
      [entry('.wh.f')],
      [entry('f/g'), 'x'],
    )
    expect(names(result)).toEqual([
      'a',
      'a (opaque)',
      'a/new',
      'b',
      'b/old (gone)',
      'c (gone)',
      'c (opaque)',
      'd',
      'd (opaque)',
      'e',
      'f (gone)',
      'f (opaque)',
      'f/g',
    ])
    expect(result[1]?.mode).toBe(0o700)
  })

  it('takes such names of a plain tree as they are', async () => {
    expect(names(await safe('tree', [entry('.wh.x'), 'x']))).toEqual(['.wh.x'])
  })

  it('refuses a time beyond all counting', async () => {
    await expect(read(archive([entry('a', { mtime: 2 ** 60 })]))).rejects.toThrow('out of range')
  })
})
