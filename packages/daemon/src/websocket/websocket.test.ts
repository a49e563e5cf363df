import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { FrameType } from '@gibil/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { createFakeBoxd, type FakeBoxd } from '../../test/support/fake-boxd.ts'
import { createFakePlane } from '../../test/support/fake-plane.ts'
import { startTestDaemon, type TestDaemon } from '../../test/support/test-daemon.ts'

let boxd: FakeBoxd
let daemon: TestDaemon

beforeAll(async () => {
  boxd = createFakeBoxd()
  daemon = await startTestDaemon(createFakePlane({}), { boxd: () => boxd.api })
})
afterAll(() => daemon[Symbol.asyncDispose]())

const open = (path: string): WebSocket =>
  new WebSocket(`ws+unix:${daemon.daemon.socketPath}:/v1${path}`, { perMessageDeflate: false })

interface Received {
  readonly type: number
  readonly text: string
}

/** Sends the opening message and collects all frames until the socket closes. */
async function exec(first: unknown, ...then: Buffer[]): Promise<Received[]> {
  const socket = open('/boxes/any/exec')
  const frames: Received[] = []
  socket.on('message', (data: Buffer) => frames.push({ type: data[0] ?? -1, text: data.subarray(1).toString() }))
  await once(socket, 'open')
  socket.send(typeof first === 'string' ? first : JSON.stringify(first))
  // At once, so that they may arrive together with the opening message.
  for (const message of then) socket.send(message)
  await once(socket, 'close')
  return frames
}

/** The status and code that an upgrade is refused with. */
async function refusal(url: string, headers: Record<string, string> = {}): Promise<{ status: number; code: string }> {
  const socket = new WebSocket(url, { headers })
  const [, response] = await once(socket, 'unexpected-response')
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  socket.on('error', () => undefined)
  socket.terminate()
  return { status: response.statusCode, code: JSON.parse(Buffer.concat(chunks).toString()).error.code }
}

describe('exec', () => {
  test('passes frames on until the exit, which is the last', async () => {
    const frames = await exec({ argv: ['echo', 'hello'] })
    expect(frames.map(({ type }) => type)).toEqual([FrameType.started, FrameType.stdout, FrameType.exit])
    expect(frames[1]?.text).toBe('hello')
    expect(JSON.parse(frames[2]?.text ?? '')).toMatchObject({ exitCode: 0 })
  })

  test('loses no input, also when it comes with the opening message', async () => {
    const stdin = (text: string) => Buffer.concat([Buffer.of(FrameType.stdin), Buffer.from(text)])
    const words = Array.from({ length: 50 }, (_, index) => `${index} `)
    const frames = await exec({ argv: ['cat'], stdin: true }, ...words.map(stdin), Buffer.of(FrameType.stdinEnd))
    const text = frames.filter(({ type }) => type === FrameType.stdout).map((frame) => frame.text)
    expect(text.join('')).toBe(words.join(''))
  })

  test('attaches from an offset', async () => {
    const frames = await exec({ attach: 'j1', offset: 42 })
    expect(frames[1]).toEqual({ type: FrameType.stdout, text: 'from 42' })
  })

  test.each([
    [{ argv: ['nothing'] }, 'command_not_found'],
    [{ attach: 'j2' }, 'job_not_found'],
    [{ argv: ['a'], command: 'b' }, 'invalid_request'],
    [{ argv: [] }, 'invalid_request'],
    ['no json', 'invalid_request'],
  ])('%j ends with an error frame', async (first, code) => {
    const frames = await exec(first)
    expect(frames).toHaveLength(1)
    expect(frames[0]?.type).toBe(FrameType.error)
    expect(JSON.parse(frames[0]?.text ?? '')).toMatchObject({ error: { code } })
  })

  test('a client that does not read stops the source, and memory stays bounded', async () => {
    const total = 256 * 1024 * 1024
    const socket = open('/boxes/any/exec')
    await once(socket, 'open')
    socket.pause()
    socket.send(JSON.stringify({ argv: ['flood', String(total)] }))
    await expect.poll(() => boxd.flooded()).toBeGreaterThan(0)
    await sleep(300)
    const stalled = boxd.flooded()
    expect(stalled).toBeLessThan(16 * 1024 * 1024)
    await sleep(200)
    expect(boxd.flooded()).toBe(stalled)
    let got = 0
    socket.on('message', (data: Buffer) => {
      if (data[0] === FrameType.stdout) got += data.length - 1
    })
    socket.resume()
    await once(socket, 'close')
    expect(got).toBe(total)
  })

  test('a command that does not read its input stops the client', async () => {
    const socket = open('/boxes/any/exec')
    await once(socket, 'open')
    socket.send(JSON.stringify({ argv: ['deaf'], stdin: true }))
    const message = Buffer.concat([Buffer.of(FrameType.stdin), Buffer.alloc(512 * 1024)])
    for (let sent = 0; sent < 64; sent += 1) socket.send(message)
    await sleep(300)
    const waiting = socket.bufferedAmount
    expect(waiting).toBeGreaterThan(16 * 1024 * 1024)
    await sleep(100)
    expect(socket.bufferedAmount).toBe(waiting)
    socket.terminate()
    boxd.hear()
    await expect.poll(() => boxd.open()).toBe(0)
  })

  test('a client that leaves lets go of the channel', async () => {
    const socket = open('/boxes/any/exec')
    await once(socket, 'open')
    socket.send(JSON.stringify({ argv: ['sleep'] }))
    await once(socket, 'message')
    expect(boxd.open()).toBe(1)
    socket.terminate()
    await expect.poll(() => boxd.open()).toBe(0)
  })

  test('what a client may not send closes the stream', async () => {
    const socket = open('/boxes/any/exec')
    await once(socket, 'open')
    socket.send(JSON.stringify({ argv: ['sleep'] }))
    await once(socket, 'message')
    socket.send(Buffer.of(FrameType.stdout, 1))
    const [code] = await once(socket, 'close')
    expect(code).toBe(1003)
  })
})

describe('dial', () => {
  test('passes bytes both ways, half-close included', async () => {
    const server = createServer({ allowHalfOpen: true }, async (socket) => {
      const chunks: Buffer[] = []
      for await (const chunk of socket) chunks.push(chunk)
      socket.end(Buffer.concat(chunks).toString().toUpperCase())
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const socket = open(`/boxes/any/dial?port=${typeof address === 'object' ? address?.port : 0}`)
    const messages: string[] = []
    socket.on('message', (data: Buffer) => messages.push(data.toString()))
    await once(socket, 'open')
    socket.send(Buffer.from('abc'))
    socket.send(Buffer.from('def'))
    socket.send(Buffer.alloc(0))
    const [code] = await once(socket, 'close')
    expect(code).toBe(1000)
    expect(messages.join('')).toBe('ABCDEF')
    expect(messages.at(-1)).toBe('')
    server.close()
  })

  test('of a closed port is refused before the upgrade', async () => {
    const url = `ws+unix:${daemon.daemon.socketPath}:/v1/boxes/any/dial?port=1`
    expect(await refusal(url)).toEqual({ status: 502, code: 'port_closed' })
    expect(await refusal(url.replace('port=1', 'port=0'))).toEqual({ status: 400, code: 'invalid_request' })
  })
})

describe('an upgrade', () => {
  const url = (): string => `${daemon.daemon.url.replace('http', 'ws')}/v1/boxes/any/exec`

  test('over TCP needs the token, a loopback Host and no foreign Origin', async () => {
    const authorization = `Bearer ${daemon.daemon.token}`
    expect(await refusal(url())).toEqual({ status: 401, code: 'unauthorized' })
    expect(await refusal(url(), { authorization, host: 'evil.example' })).toEqual({ status: 403, code: 'forbidden' })
    expect(await refusal(url(), { authorization, origin: 'http://evil.example' })).toMatchObject({ code: 'forbidden' })
    const socket = new WebSocket(url(), { headers: { authorization } })
    await once(socket, 'open')
    socket.terminate()
  })

  test('of an unknown route is not found', async () => {
    const path = `ws+unix:${daemon.daemon.socketPath}:/v1/boxes/any/shell`
    expect(await refusal(path)).toEqual({ status: 404, code: 'not_found' })
  })

  test('is what an ordinary request to these routes is told of', async () => {
    expect(await daemon.call('GET', '/boxes/any/exec')).toMatchObject({ status: 400 })
  })
})

test('a run collects what a command prints', async () => {
  const answer = await daemon.call('POST', '/boxes/any/run', { body: { argv: ['echo', 'äbc'] } })
  expect(answer.json).toMatchObject({ exitCode: 0, stdout: 'äbc', stderr: '', truncated: false })
  const cut = await daemon.call('POST', '/boxes/any/run', {
    body: { argv: ['flood', '512000000'], maxOutputBytes: 10 },
  })
  expect(cut.json).toMatchObject({ stdout: 'ffffffffff', truncated: true })
  const input = await daemon.call('POST', '/boxes/any/run', { body: { argv: ['cat'], stdin: 'x'.repeat(700_000) } })
  expect(input.json).toMatchObject({ stdout: 'x'.repeat(700_000) })
  expect(boxd.open()).toBe(0)
})

test('a run whose client leaves is killed', async () => {
  const response = daemon.open('POST', '/boxes/any/run', { body: { argv: ['sleep'] } })
  response.catch(() => undefined)
  await expect.poll(() => boxd.open()).toBe(1)
  daemon.dropRequests()
  await expect.poll(() => boxd.open()).toBe(0)
  expect(boxd.received.map(({ type }) => type)).toEqual([FrameType.signal])
  expect(JSON.parse(boxd.received[0]?.payload.toString() ?? '')).toEqual({ signal: 'SIGKILL', group: true })
})
