import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { GibilError } from '@gibil/contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createBoxdClient } from './client.ts'
import { type RealBoxd, startBoxd } from './testing/real-boxd.ts'
import type { BoxdClient } from './types.ts'

let boxd: RealBoxd
let client: BoxdClient
beforeAll(async () => {
  boxd = await startBoxd()
  client = createBoxdClient(boxd.dial)
})
afterAll(() => boxd[Symbol.asyncDispose]())

const at = (name: string) => join(boxd.dir, 'files', name)
const codeOf = async (promise: Promise<unknown>) => {
  const error = await promise.catch((thrown: unknown) => thrown)
  return GibilError.is(error) ? error.code : error
}

/** So many bytes in pieces of odd sizes, each different. */
function* pieces(total: number): Generator<Buffer> {
  for (let sent = 0, size = 1; sent < total; sent += size, size = (size * 7) % 200_003) {
    yield Buffer.alloc(Math.min(size, total - sent), `${sent} `)
  }
}

test('a large file goes in and out unchanged', async () => {
  const content = Buffer.concat([...pieces(20_000_000)])
  const info = await client.writeFile(at('deep/large'), Readable.from(pieces(20_000_000)), { mode: '640' })
  expect(info).toMatchObject({ kind: 'file', size: content.length, mode: 0o640, name: 'large' })
  const download = await client.readFile(at('deep/large'))
  expect(download).toMatchObject({ status: 200, headers: { 'content-length': String(content.length) } })
  expect((await buffer(download.body)).equals(content)).toBe(true)
})

test('a range, as much as asked', async () => {
  await client.writeFile(at('digits'), Readable.from(['0123456789']))
  const part = await client.readFile(at('digits'), 'bytes=2-4')
  expect(part).toMatchObject({ status: 206, headers: { 'content-range': 'bytes 2-4/10' } })
  expect(await text(part.body)).toBe('234')
  expect(await codeOf(client.readFile(at('digits'), 'bytes=99-'))).toBe('invalid_request')
  // What could smuggle a header is as good as no range.
  const whole = await client.readFile(at('digits'), 'bytes=2-4\r\nX-Evil: 1')
  expect(await text(whole.body)).toBe('0123456789')
})

test('a file is replaced only if it is what it has to be, when that is said', async () => {
  const hash = (content: string): string => createHash('sha256').update(content).digest('hex')
  const write = (content: string, ifHash: string) =>
    client.writeFile(at('compared'), Readable.from([content]), { ifHash })
  await write('one', 'none')
  expect(await codeOf(write('two', 'none'))).toBe('file_conflict')
  expect(await codeOf(write('two', hash('other')))).toBe('file_conflict')
  expect(await text((await client.readFile(at('compared'))).body)).toBe('one')
  await write('two', hash('one'))
  expect(await text((await client.readFile(at('compared'))).body)).toBe('two')
})

test('a file that exists is replaced as a whole or not at all', async () => {
  await client.writeFile(at('kept'), Readable.from(['old']))
  async function* breaks() {
    yield Buffer.from('half')
    throw new GibilError('cancelled', 'The source broke.')
  }
  expect(await codeOf(client.writeFile(at('kept'), Readable.from(breaks())))).toBe('cancelled')
  await expect.poll(() => boxd.openStreams()).toBe(0)
  expect(await readFile(at('kept'), 'utf8')).toBe('old')
})

test('a refusal arrives while the body is still being sent, which is left open', async () => {
  await mkdir(at('directory'), { recursive: true })
  let open = true
  async function* endless() {
    try {
      for (;;) yield Buffer.alloc(65_536)
    } finally {
      open = false
    }
  }
  const body = Readable.from(endless())
  expect(await codeOf(client.writeFile(at('directory'), body))).toBe('file_conflict')
  expect(open).toBe(true)
  body.destroy()
})

test('an empty file and an empty body', async () => {
  expect(await client.writeFile(at('empty'), Readable.from([]))).toMatchObject({ size: 0 })
  expect(await text((await client.readFile(at('empty'))).body)).toBe('')
})

test('a download that is dropped closes its stream', async () => {
  await client.writeFile(at('big'), Readable.from(pieces(8_000_000)))
  const download = await client.readFile(at('big'))
  await once(download.body, 'readable')
  download.body.destroy()
  await expect.poll(() => boxd.openStreams()).toBe(0)
})

test('stat, list, mkdir, move, chmod and remove', async () => {
  await client.mkdir({ path: at('tree/sub'), mode: 0o750 })
  await client.writeFile(at('tree/file ä?&'), Readable.from(['x']))
  expect((await client.list(at('tree'), { depth: 2 })).map(({ name }) => name)).toEqual(['file ä?&', 'sub'])
  expect(await client.stat(at('tree/sub'))).toMatchObject({ kind: 'directory', mode: 0o750 })
  await client.move({ from: at('tree/file ä?&'), to: at('tree/sub/moved') })
  expect(await codeOf(client.move({ from: at('tree/sub/moved'), to: at('tree/sub') }))).toBe('file_conflict')
  await client.chmod({ path: at('tree/sub'), mode: 0o700, recursive: true })
  expect((await stat(at('tree/sub/moved'))).mode & 0o777).toBe(0o700)
  expect(await codeOf(client.removeFile(at('tree')))).toBe('file_conflict')
  await client.removeFile(at('tree'), { recursive: true })
  expect(await codeOf(client.stat(at('tree')))).toBe('file_not_found')
  expect(await codeOf(client.stat(''))).toBe('invalid_path')
})

test('a tree by tar', async () => {
  await client.writeFile(at('from/a/b'), Readable.from(['text']))
  await client.writeFile(at('from/skip/c'), Readable.from(['text']))
  const { body } = await client.readTar(at('from'), { exclude: ['skip'] })
  await client.writeTar(at('to'), body)
  expect((await client.list(at('to'), { depth: 9 })).map(({ path }) => path)).toEqual([at('to/a'), at('to/a/b')])
  expect(await codeOf(client.writeTar(at('to'), Readable.from([Buffer.alloc(2000, 'x')])))).toBe('invalid_request')
})

test('watching gives changes until it is left', async () => {
  await mkdir(at('watched'), { recursive: true })
  const seen: string[] = []
  for await (const event of client.watch(at('watched'))) {
    if (event.type === 'ready') {
      await mkdir(at('watched/new'))
      await writeFile(at('watched/new/file'), 'x')
      continue
    }
    if ('path' in event) seen.push(`${event.type} ${event.path}`)
    if (seen.includes(`create ${at('watched/new/file')}`)) break
  }
  expect(seen[0]).toBe(`create ${at('watched/new')}`)
  await expect.poll(() => boxd.openStreams()).toBe(0)
})

test('the signal of a client ends a watch that waits', async () => {
  await mkdir(at('quiet'), { recursive: true })
  const abort = new AbortController()
  const watched = createBoxdClient(boxd.dial, { signal: abort.signal }).watch(at('quiet'))
  const read = async () => {
    for await (const { type } of watched) if (type === 'ready') setImmediate(() => abort.abort())
  }
  expect(await codeOf(read())).toBe('cancelled')
  await expect.poll(() => boxd.openStreams()).toBe(0)
})

test('a port of the box, half-closes included', async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let got = ''
    socket.on('data', (chunk) => {
      got += chunk
    })
    socket.on('end', () => socket.end(got.toUpperCase()))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = address && typeof address === 'object' ? address.port : 0
  const stream = await client.dial(port)
  stream.end('hello')
  expect(await text(stream)).toBe('HELLO')
  expect((await client.ports()).map((open) => open.port)).toContain(port)
  server.close()
  expect(await codeOf(client.dial(port))).toBe('port_closed')
})

test('health and metrics', async () => {
  expect(await client.health()).toMatchObject({ pid: boxd.pid })
  const metrics = await client.metrics()
  expect(metrics.memoryBytes).toBeGreaterThan(0)
  expect(metrics.diskLimitBytes).toBeGreaterThanOrEqual(metrics.diskBytes)
})
