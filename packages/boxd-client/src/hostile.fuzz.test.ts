import { Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { FrameType, GibilError } from '@gibil/contract'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createBoxdClient } from './client.ts'
import type { BoxdClient, Dial } from './types.ts'

/** boxd that answers whatever it is asked with these bytes, in pieces of that size, and then hangs up. */
function answering(bytes: Buffer, size: number): Dial {
  return async () => {
    let at = 0
    return new Duplex({
      read() {
        if (at >= bytes.length) return void this.push(null)
        this.push(bytes.subarray(at, at + size))
        at += size
      },
      write: (_chunk, _encoding, callback) => callback(),
    })
  }
}

const documented: ReadonlySet<string> = new Set([
  ...[
    'boxd_protocol',
    'boxd_unreachable',
    'port_closed',
    'invalid_request',
    'invalid_path',
    'permission_denied',
    'file_not_found',
  ],
  ...['job_not_found', 'not_found', 'file_conflict', 'wrong_state', 'payload_too_large', 'command_not_found'],
  ...['user_not_found', 'limit_reached', 'disk_full', 'internal'],
])

async function orRefused(work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    expect(GibilError.is(error), String(error)).toBe(true)
    if (GibilError.is(error)) expect(documented).toContain(error.code)
  }
}

const size = fc.oneof(fc.integer({ min: 1, max: 7 }), fc.constant(100_000))
const textBit = fc.oneof(
  fc.constantFrom(
    'HTTP/1.1 200 OK',
    'HTTP/1.1 101 x',
    'HTTP/1.0 200',
    'HTTP/1.1 404 no',
    '\r\n',
    '\r\n\r\n',
    '\n',
    ':',
    ' ',
  ),
  fc.constantFrom(
    'Content-Length: 2',
    'Content-Length: -1',
    'content-length: 99999999999999999',
    'Content-Length: 2\r\n',
  ),
  fc.constantFrom('Transfer-Encoding: chunked', '0', '2', 'ffffffffffff', 'g', '{}', '[]', 'null', '"', '{"error":{}}'),
  fc.constantFrom('{"error":{"code":"file_not_found","message":"x"}}', '{"error":{"code":"__proto__","message":1}}'),
  fc.constantFrom('Upgrade: gibil-frames/1', 'Upgrade: gibil-tcp/1', 'Connection: Upgrade'),
  fc.string({ maxLength: 5 }),
)
const answer = fc.oneof(
  fc.array(textBit, { maxLength: 12 }).map((parts) => Buffer.from(parts.join(''), 'latin1')),
  fc.array(textBit, { maxLength: 8 }).map((parts) => Buffer.from(`${parts.join('\r\n')}\r\n\r\n`, 'latin1')),
  fc.json().map((body) => {
    const bytes = Buffer.from(body)
    return Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes.length}\r\n\r\n`), bytes])
  }),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
)

describe('whatever boxd answers', () => {
  const calls: readonly ((client: BoxdClient) => Promise<unknown>)[] = [
    (client) => client.health(),
    (client) => client.metrics(),
    (client) => client.ports(),
    (client) => client.listJobs(),
    (client) => client.list('/', { depth: 1 }),
    (client) => client.mkdir({ path: '/x' }),
    async (client) => buffer((await client.readFile('/x')).body),
    async (client) => buffer(await client.dial(80)),
    async (client) => {
      for await (const _ of client.watch('/x', { recursive: true }));
    },
  ]

  test('is an answer or a documented error, at every split', async () => {
    await fc.assert(
      fc.asyncProperty(answer, size, fc.constantFrom(...calls), (bytes, piece, call) =>
        orRefused(() => call(createBoxdClient(answering(bytes, piece), { answerMs: 5000 }))),
      ),
    )
  })
})

describe('whatever comes in a command stream', () => {
  const job = {
    ...{ id: 'j', pid: 1, argv: ['x'], cwd: '/', user: 'u', tty: false, label: '', exit: null },
    ...{ startedAt: '2026-01-01T00:00:00Z', outputBytes: 0, firstOffset: 0 },
  }
  const frame = fc
    .tuple(
      fc.constantFrom(...Object.values(FrameType), 99),
      fc.oneof(
        fc.json().map((text) => Buffer.from(text)),
        fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
        fc.constant(Buffer.from(JSON.stringify({ job, offset: 0 }))),
        fc.constant(Buffer.from('{"exitCode":0,"signal":null,"timedOut":false,"durationMs":1}')),
        fc.constant(Buffer.from('{"from":5,"to":1}')),
      ),
      fc.option(fc.nat(2 ** 32 - 1), { freq: 8 }),
    )
    .map(([type, payload, lie]) => {
      const header = Buffer.alloc(5)
      header.writeUInt8(type, 0)
      header.writeUInt32BE(lie ?? payload.length, 1)
      return Buffer.concat([header, payload])
    })
  const upgraded = Buffer.from('HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: gibil-frames/1\r\n\r\n')
  const begin = Buffer.from(JSON.stringify({ job, offset: 0 }))
  const startedFrame = Buffer.concat([
    Buffer.from([FrameType.started, 0, 0, begin.length >> 8, begin.length & 255]),
    begin,
  ])

  test('is a command or a documented error, at every split', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 6 }), fc.boolean(), size, async (frames, honest, piece) => {
        const bytes = Buffer.concat([upgraded, ...(honest ? [startedFrame] : []), ...frames])
        await orRefused(async () => {
          const client = createBoxdClient(answering(bytes, piece), { answerMs: 5000 })
          for await (const { payload } of await client.openCommand({ argv: ['x'] }))
            expect(payload).toBeInstanceOf(Buffer)
        })
      }),
    )
  })

  test('output is whole at every split', async () => {
    const outputs = fc.array(
      fc.tuple(fc.constantFrom(FrameType.stdout, FrameType.stderr), fc.uint8Array({ maxLength: 300 })),
      {
        maxLength: 8,
      },
    )
    await fc.assert(
      fc.asyncProperty(outputs, size, async (parts, piece) => {
        const frames = parts.map(([type, data]) =>
          Buffer.from([type, 0, 0, data.length >> 8, data.length & 255, ...data]),
        )
        const exit = Buffer.from('{"exitCode":3,"signal":null,"timedOut":false,"durationMs":1}')
        const end = Buffer.from([FrameType.exit, 0, 0, 0, exit.length, ...exit])
        const client = createBoxdClient(answering(Buffer.concat([upgraded, startedFrame, ...frames, end]), piece))
        const seen: number[] = []
        for await (const { type, payload } of await client.openCommand({ argv: ['x'] })) {
          if (type === FrameType.stdout || type === FrameType.stderr) seen.push(...payload)
        }
        expect(seen).toEqual(parts.flatMap(([, data]) => [...data]))
      }),
    )
  })
})
