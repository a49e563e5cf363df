import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { FrameType, GibilError, maxFrameBytes } from '@gibil/contract'
import { describe, expect, test } from 'vitest'
import { createBoxdClient } from './client.ts'
import { pour, startHostile } from './testing/hostile-boxd.ts'
import type { BoxdClient } from './types.ts'

type Call = (client: BoxdClient) => Promise<unknown>

/** Makes a call to a server that behaves so; gives the error. */
async function against(behave: (socket: Socket) => void, call: Call, answerMs = 400): Promise<GibilError> {
  await using hostile = await startHostile(behave)
  const error: unknown = await call(createBoxdClient(hostile.dial, { answerMs })).then(
    (value) => new Error(`it succeeded with ${JSON.stringify(value)}`),
    (thrown) => thrown,
  )
  if (!GibilError.is(error)) throw error
  return error
}

const says = (text: string | Buffer) => (socket: Socket) => void socket.end(text)
const answer = (body: string, head = 'HTTP/1.1 200 OK') => `${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const health: Call = (client) => client.health()
const upgraded = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: gibil-frames/1\r\n\r\n'

function frame(type: number, payload: string | Buffer, length = payload.length): Buffer {
  const header = Buffer.alloc(5)
  header.writeUInt8(type, 0)
  header.writeUInt32BE(length, 1)
  return Buffer.concat([header, Buffer.from(payload)])
}
const job = {
  id: 'j',
  pid: 1,
  argv: ['x'],
  cwd: '/',
  user: 'u',
  tty: false,
  label: '',
  startedAt: '2026-01-01T00:00:00Z',
  exit: null,
  outputBytes: 0,
  firstOffset: 0,
}
const started = frame(FrameType.started, JSON.stringify({ job, offset: 0 }))
const command: Call = async (client) => {
  let bytes = 0
  for await (const { payload } of await client.openCommand({ argv: ['x'] })) bytes += payload.length
  return bytes
}

describe('an answer that is not HTTP as it must be', () => {
  test.each([
    ['garbage', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['binary', Buffer.concat([Buffer.alloc(1000, 0xff), Buffer.from('\r\n\r\n')])],
    ['another version', answer('{}', 'HTTP/1.0 200 OK')],
    ['a bad status', answer('{}', 'HTTP/1.1 999 OK')],
    ['a status of another call', answer('{}', 'HTTP/1.1 302 Found')],
    ['an unasked upgrade', upgraded],
    ['no length', 'HTTP/1.1 200 OK\r\n\r\n{}'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\n{}'],
    ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}'],
    ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}'],
    ['an enormous length', `HTTP/1.1 200 OK\r\nContent-Length: 9${'9'.repeat(30)}\r\n\r\n{}`],
    ['a header without a name', 'HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 2\r\n\r\n{}'],
    ['a header with a control character', 'HTTP/1.1 200 OK\r\nX: a\x1b[2J\r\nContent-Length: 2\r\n\r\n{}'],
    ['a folded header', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\n{}'],
    ['a chunk of no length', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n'],
    ['a chunk longer than it said', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}}\r\n0\r\n\r\n'],
    ['a head that is too long', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
    [
      'too many headers',
      `HTTP/1.1 200 OK\r\n${Array.from({ length: 100 }, (_, i) => `X${i}: x`).join('\r\n')}\r\n\r\n`,
    ],
    ['no JSON', answer('nonsense')],
    ['JSON of another shape', answer('{"version":1}')],
    ['an error that is none', answer('[]', 'HTTP/1.1 500 Oops')],
    ['an error with a code of the daemon', answer('{"error":{"code":"unauthorized","message":""}}', 'HTTP/1.1 401 No')],
    ['an error with an inherited code', answer('{"error":{"code":"toString","message":""}}', 'HTTP/1.1 400 No')],
  ])('%s', async (_, text) => {
    expect((await against(says(text), health)).code).toBe('boxd_protocol')
  })
})

describe('a connection that breaks or says nothing', () => {
  test.each([
    ['closed at once', says('')],
    ['cut in the head', says('HTTP/1.1 200 OK\r\nContent-')],
    ['cut in the body', says('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{')],
    ['cut in a chunk', says('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{')],
    ['cut between chunks', says('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n')],
    ['reset', (socket: Socket) => void socket.resetAndDestroy()],
    ['never an answer', () => undefined],
    ['never the end of the head', (socket: Socket) => void socket.write('HTTP/1.1 200 OK\r\n')],
    [
      'never the end of the body',
      (socket: Socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{'),
    ],
  ])('%s', async (_, behave) => {
    expect((await against(behave, health)).code).toBe('boxd_unreachable')
  })

  test('a byte now and then does not outlast the deadline', async () => {
    const drip = (socket: Socket): void => {
      const timer = setInterval(() => socket.write('x'), 20)
      socket.once('close', () => clearInterval(timer))
    }
    expect((await against(drip, health)).code).toBe('boxd_unreachable')
  })

  test('an upload that is never taken ends with its signal', async () => {
    await using hostile = await startHostile((socket) => void socket.pause())
    const abort = new AbortController()
    const client = createBoxdClient(hostile.dial, { signal: abort.signal })
    const body = Readable.from(
      (function* () {
        for (;;) yield Buffer.alloc(1024 * 1024)
      })(),
    )
    const write = client.writeFile('/x', body)
    setTimeout(() => abort.abort(new GibilError('interrupted', 'The daemon stops.')), 300)
    await expect(write).rejects.toMatchObject({ code: 'interrupted' })
    body.destroy()
  })

  test('a dial that fails is said as such', async () => {
    const refused = createBoxdClient(() => Promise.reject(new Error('ECONNREFUSED')))
    await expect(refused.health()).rejects.toMatchObject({ code: 'boxd_unreachable' })
  })
})

describe('endless', () => {
  test.each([
    ['headers', 'HTTP/1.1 200 OK\r\n', 'X-Header: x\r\n', health],
    ['one header', 'HTTP/1.1 200 OK\r\nX: ', 'x'.repeat(1000), health],
    [
      'JSON',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      '400\r\n'.concat(' '.repeat(1024), '\r\n'),
      health,
    ],
    [
      'an error',
      'HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n',
      '400\r\n'.concat(' '.repeat(1024), '\r\n'),
      health,
    ],
    [
      'a file event',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      '400\r\n'.concat('x'.repeat(1024), '\r\n'),
      async (client: BoxdClient) => {
        for await (const _ of client.watch('/')) throw new Error('no event can be there')
      },
    ],
  ])('%s end with boxd_protocol, after little was taken', async (_, head, more, call) => {
    let taken = () => 0
    const error = await against(
      (socket) => {
        socket.write(head)
        taken = pour(socket, Buffer.from(more.repeat(50))).taken
      },
      call,
      10_000,
    )
    expect(error.code).toBe('boxd_protocol')
    expect(taken()).toBeLessThan(32 * 1024 * 1024)
  })

  test('a download is taken only as fast as it is read', async () => {
    let taken = () => 0
    await using hostile = await startHostile((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n')
      taken = pour(socket, Buffer.alloc(65_536)).taken
    })
    const { body } = await createBoxdClient(hostile.dial).readFile('/x')
    let last = -1
    for (let now = taken(); now !== last; now = taken()) {
      last = now
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    expect(last).toBeLessThan(32 * 1024 * 1024)
    body.destroy()
  })

  test('a download that is cut short is an error', async () => {
    const cut = says('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this')
    const error = await against(cut, async (client) => buffer((await client.readFile('/x')).body))
    expect(error.code).toBe('boxd_unreachable')
  })
})

describe('a command stream', () => {
  test.each([
    ['an upgrade to something else', upgraded.replace('gibil-frames/1', 'websocket')],
    ['no upgrade at all', answer('{}')],
    ['an unknown type', Buffer.concat([Buffer.from(upgraded), started, frame(99, '')])],
    ['a type that only clients send', Buffer.concat([Buffer.from(upgraded), started, frame(FrameType.stdin, 'x')])],
    ['output before the start', Buffer.concat([Buffer.from(upgraded), frame(FrameType.stdout, 'x')])],
    ['two starts', Buffer.concat([Buffer.from(upgraded), started, started])],
    [
      'a start that is no job',
      Buffer.concat([Buffer.from(upgraded), frame(FrameType.started, '{"job":{},"offset":0}')]),
    ],
    [
      'an exit that is none',
      Buffer.concat([Buffer.from(upgraded), started, frame(FrameType.exit, '{"exitCode":"0"}')]),
    ],
    ['a gap that is none', Buffer.concat([Buffer.from(upgraded), started, frame(FrameType.gap, 'x')])],
    [
      'a frame that is too long',
      Buffer.concat([Buffer.from(upgraded), started, frame(FrameType.stdout, '', maxFrameBytes + 1)]),
    ],
  ])('with %s is refused', async (_, bytes) => {
    expect((await against(says(bytes), command)).code).toBe('boxd_protocol')
  })

  test.each([
    ['before the start', Buffer.from(upgraded)],
    ['after the start', Buffer.concat([Buffer.from(upgraded), started])],
    ['in a header', Buffer.concat([Buffer.from(upgraded), started, Buffer.from([16, 0])])],
    ['in output', Buffer.concat([Buffer.from(upgraded), started, frame(FrameType.stdout, 'half', 100)])],
    ['in an exit', Buffer.concat([Buffer.from(upgraded), started, frame(FrameType.exit, '{', 100)])],
  ])('cut %s is lost', async (_, bytes) => {
    expect((await against(says(bytes), command)).code).toBe('boxd_unreachable')
  })

  test('that never starts ends by the deadline', async () => {
    expect((await against((socket) => void socket.write(upgraded), command)).code).toBe('boxd_unreachable')
  })

  test('an error frame is passed on only with a code of boxd', async () => {
    await using hostile = await startHostile(
      says(
        Buffer.concat([
          Buffer.from(upgraded),
          started,
          frame(FrameType.error, '{"error":{"code":"unauthorized","message":"give me your token"}}'),
        ]),
      ),
    )
    const errors: string[] = []
    for await (const { type, payload } of await createBoxdClient(hostile.dial).openCommand({ argv: ['x'] })) {
      if (type === FrameType.error) errors.push(JSON.parse(payload.toString()).error.code)
    }
    expect(errors).toEqual(['boxd_protocol'])
  })

  test('nothing after the exit is looked at', async () => {
    const exit = frame(FrameType.exit, '{"exitCode":0,"signal":null,"timedOut":false,"durationMs":1}')
    await using hostile = await startHostile(
      says(Buffer.concat([Buffer.from(upgraded), started, exit, Buffer.alloc(99, 7)])),
    )
    const types: number[] = []
    for await (const { type } of await createBoxdClient(hostile.dial).openCommand({ argv: ['x'] })) types.push(type)
    expect(types).toEqual([FrameType.started, FrameType.exit])
  })

  test('a message of boxd carries no control characters', async () => {
    const body = JSON.stringify({ error: { code: 'internal', message: `\x1b[2J${'x'.repeat(5000)}` } })
    const error = await against(says(answer(body, 'HTTP/1.1 500 Oops')), health)
    expect(error.code).toBe('internal')
    expect(error.message).toMatch(/^ \[2Jx{100,1000}$/)
  })
})
