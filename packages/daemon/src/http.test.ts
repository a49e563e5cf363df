import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { Box, Fork, Snapshot, Version } from '@gibil/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFakePlane, type FakePlane } from '../test/support/fake-plane.ts'
import { startTestDaemon, type TestDaemon } from '../test/support/test-daemon.ts'

let plane: FakePlane
let daemon: TestDaemon

beforeAll(async () => {
  plane = createFakePlane({})
  daemon = await startTestDaemon(plane)
})
afterAll(() => daemon[Symbol.asyncDispose]())

const withToken = (): Record<string, string> => ({ authorization: `Bearer ${daemon.daemon.token}` })
const codeOf = (answer: { json: unknown }): unknown => (answer.json as { error?: { code?: unknown } }).error?.code

/** Sends bytes as they are and returns all that comes back. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(daemon.daemon.url).port), '127.0.0.1', () => socket.write(text))
    let answer = ''
    socket.on('data', (chunk) => {
      answer += chunk
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
  })
}

describe('who may call', () => {
  test('the unix socket needs no token', async () => {
    const answer = await daemon.call('GET', '/version')
    expect(Version.parse(answer.json)).toMatchObject({ name: 'gibild', api: 1, pid: process.pid, home: daemon.home })
  })

  test('TCP needs the token', async () => {
    expect(codeOf(await daemon.call('GET', '/boxes', { tcp: true }))).toBe('unauthorized')
    const wrong = { authorization: `Bearer ${'x'.repeat(daemon.daemon.token.length)}` }
    const answer = await daemon.call('GET', '/boxes', { tcp: true, headers: wrong })
    expect(answer).toMatchObject({ status: 401 })
    expect(answer.headers['www-authenticate']).toContain('Bearer')
    const longer = { authorization: `Bearer ${daemon.daemon.token}x` }
    expect(codeOf(await daemon.call('GET', '/boxes', { tcp: true, headers: longer }))).toBe('unauthorized')
    expect(await daemon.call('GET', '/boxes', { tcp: true, headers: withToken() })).toMatchObject({ status: 200 })
  })

  test('an unknown route says nothing to those without a token', async () => {
    expect(codeOf(await daemon.call('GET', '/nothing', { tcp: true }))).toBe('unauthorized')
    expect(codeOf(await daemon.call('GET', '/nothing', { tcp: true, headers: withToken() }))).toBe('not_found')
  })

  test.each(['evil.example', 'evil.example:80', '127.0.0.1.evil.example', '10.0.0.1'])(
    'Host %s is refused',
    async (host) => {
      expect(codeOf(await daemon.call('GET', '/boxes', { tcp: true, headers: { ...withToken(), host } }))).toBe(
        'forbidden',
      )
      expect(codeOf(await daemon.call('GET', '/health', { tcp: true, headers: { host } }))).toBe('forbidden')
    },
  )

  test.each(['localhost:1', '127.0.0.1:99', '[::1]:5'])('Host %s is fine', async (host) => {
    expect(await daemon.call('GET', '/boxes', { tcp: true, headers: { ...withToken(), host } })).toMatchObject({
      status: 200,
    })
  })

  test('a foreign Origin is refused, the own one is not', async () => {
    const from = (origin: string) => daemon.call('GET', '/boxes', { tcp: true, headers: { ...withToken(), origin } })
    expect(codeOf(await from('https://evil.example'))).toBe('forbidden')
    expect(codeOf(await from('null'))).toBe('forbidden')
    expect(await from(daemon.daemon.url)).toMatchObject({ status: 200 })
  })

  test('health, the document and the page are open, but only to this machine', async () => {
    for (const path of ['/health', '/openapi.json', '/docs']) {
      expect(await daemon.call('GET', path, { tcp: true })).toMatchObject({ status: 200 })
    }
    expect(codeOf(await daemon.call('GET', '/metrics', { tcp: true }))).toBe('unauthorized')
  })
})

describe('errors', () => {
  test('have code, message and hint, and the status of the table', async () => {
    const answer = await daemon.call('GET', '/boxes/nobody')
    expect(answer.status).toBe(404)
    expect(answer.json).toEqual({
      error: { code: 'box_not_found', message: 'There is no box "nobody".', hint: 'See `gibil list`.' },
    })
  })

  test('busy says when to come again', async () => {
    const answer = await daemon.call('POST', '/boxes', { body: { name: 'b', image: 'busy' } })
    expect(answer.status).toBe(503)
    expect(answer.headers['retry-after']).toBe('7')
  })

  test.each([
    ['size', { size: 'huge' }, 'invalid_size'],
    ['memoryMib', { memoryMib: -1 }, 'invalid_size'],
    ['ttl', { ttl: true }, 'invalid_duration'],
    ['name', { name: 7 }, 'invalid_name'],
    ['sizes', { sizes: 1 }, 'invalid_request'],
    ['shape', { shape: 'pod' }, 'invalid_request'],
  ])('a wrong %s is named', async (field, body, code) => {
    const answer = await daemon.call('POST', '/boxes', { body })
    expect(codeOf(answer)).toBe(code)
    expect(answer.text).toContain(field)
  })

  test('what is not JSON, or nothing, is an invalid request', async () => {
    const headers = { 'content-type': 'application/json' }
    expect(codeOf(await daemon.call('POST', '/boxes', { raw: '{"name":', headers }))).toBe('invalid_request')
    expect(codeOf(await daemon.call('POST', '/boxes', { headers }))).toBe('invalid_request')
  })

  test('a misspelt query parameter is not ignored', async () => {
    const answer = await daemon.call('GET', '/boxes?flet=a')
    expect(codeOf(answer)).toBe('invalid_request')
    expect(answer.text).toContain('flet')
  })

  test('HEAD and other methods are no route', async () => {
    expect((await daemon.call('HEAD', '/boxes')).status).toBe(404)
    expect(codeOf(await daemon.call('PATCH', '/boxes'))).toBe('not_found')
  })

  test('what is not HTTP gets an answer', async () => {
    expect(await raw('nonsense\r\n\r\n')).toMatch(/^HTTP\/1.1 400 [\s\S]*"invalid_request"/)
    expect(await raw(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1.1 431 /,
    )
  })
})

describe('bodies', () => {
  const oneGib = 1024 ** 3

  test('one of 1 GB is refused by its announced length, unread', async () => {
    const before = process.memoryUsage().rss
    const chunk = Buffer.alloc(64 * 1024)
    let sent = 0
    const source = Readable.from(
      (function* () {
        while (sent < oneGib) {
          sent += chunk.length
          yield chunk
        }
      })(),
    )
    const headers = { 'content-type': 'application/json', 'content-length': String(oneGib) }
    const answer = await daemon.open('POST', '/boxes', { raw: source, headers })
    expect(answer.statusCode).toBe(413)
    source.destroy()
    answer.destroy()
    expect(sent).toBeLessThan(64 * 1024 * 1024)
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024)
  })

  test('one that does not say its length is refused after 1 MiB', async () => {
    let sent = 0
    const source = Readable.from(
      (function* () {
        while (sent < oneGib) {
          sent += 64 * 1024
          yield Buffer.alloc(64 * 1024, 0x20)
        }
      })(),
    )
    const answer = await daemon.open('POST', '/boxes', { raw: source, headers: { 'content-type': 'application/json' } })
    expect(answer.statusCode).toBe(413)
    source.destroy()
    answer.destroy()
    expect(sent).toBeLessThan(128 * 1024 * 1024)
  })

  test('a client that asks first is not told to go on', async () => {
    const head = `POST /v1/boxes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${daemon.daemon.token}\r\n`
    const refused = await raw(`${head}Content-Length: ${oneGib}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`)
    expect(refused).toMatch(/^HTTP\/1.1 413 /)
    const taken = await raw(`${head}Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n{}`)
    expect(taken).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 201 /)
  })

  test('a tree of any length goes through', async () => {
    await daemon.call('POST', '/boxes', { body: { name: 'tree' } })
    const size = 20 * 1024 * 1024
    const answer = await daemon.call('PUT', '/boxes/tree/repo', { raw: Buffer.alloc(size, 1) })
    const box = Box.parse(answer.json)
    expect(plane.uploads.get(box.id)?.length).toBe(size)
  })
})

describe('boxes', () => {
  test('are created, listed, shown, changed and destroyed', async () => {
    const created = await daemon.call('POST', '/boxes', { body: { name: 'alpha' } })
    expect(created.status).toBe(201)
    const box = Box.parse(created.json)
    expect(Box.parse((await daemon.call('GET', '/boxes/alpha')).json)).toEqual(box)
    expect(Box.parse((await daemon.call('GET', `/boxes/${box.id}`)).json)).toEqual(box)
    for (const [verb, status] of [
      ['pause', 'paused'],
      ['resume', 'running'],
      ['stop', 'stopped'],
      ['start', 'running'],
    ]) {
      expect((await daemon.call('POST', `/boxes/alpha/${verb}`)).json).toMatchObject({ status })
    }
    const restarted = await daemon.call('POST', '/boxes/alpha/restart', { body: { force: true } })
    expect(restarted.json).toMatchObject({ status: 'running' })
    expect(codeOf(await daemon.call('POST', '/boxes/alpha/restart', { body: { gently: true } }))).toBe(
      'invalid_request',
    )
    expect((await daemon.call('GET', '/boxes/alpha/console')).json).toEqual({ text: 'console of alpha\n' })
    expect(codeOf(await daemon.call('POST', '/boxes', { body: { name: 'alpha' } }))).toBe('name_in_use')
    expect((await daemon.call('DELETE', '/boxes/alpha')).json).toMatchObject({ status: 'destroyed' })
    expect((await daemon.call('GET', '/boxes/alpha')).status).toBe(404)
  })

  test('come in fleets', async () => {
    const created = await daemon.call('POST', '/fleets', { body: { name: 'ant', count: 2 } })
    expect(created).toMatchObject({ status: 201, json: { id: 'f1', failures: [] } })
    expect((await daemon.call('GET', '/fleets/f1')).json).toMatchObject({
      boxes: [{ name: 'ant-1' }, { name: 'ant-2' }],
    })
    expect((await daemon.call('GET', '/boxes?fleet=f1')).json).toHaveLength(2)
    expect((await daemon.call('DELETE', '/fleets/f1')).json).toHaveLength(2)
    expect(codeOf(await daemon.call('GET', '/fleets/f1'))).toBe('fleet_not_found')
  })

  test('are saved, put back and forked', async () => {
    await daemon.call('POST', '/boxes', { body: { name: 'saved' } })
    const made = await daemon.call('POST', '/boxes/saved/snapshots', { body: { name: 's' } })
    expect(made.status).toBe(201)
    const snapshot = Snapshot.parse(made.json)
    expect((await daemon.call('GET', '/snapshots?box=saved')).json).toEqual([snapshot])
    expect((await daemon.call('GET', '/snapshots?box=other')).json).toEqual([])
    expect((await daemon.call('GET', '/snapshots/s')).json).toEqual(snapshot)
    const mounted = { path: '/snapshots/s', snapshotId: snapshot.id, snapshot: 's' }
    const mount = await daemon.call('POST', '/boxes/saved/mounts', { body: { snapshot: 's' } })
    expect(mount).toMatchObject({ status: 201, json: mounted })
    expect((await daemon.call('GET', '/boxes/saved/mounts')).json).toEqual([mounted])
    expect(codeOf(await daemon.call('DELETE', '/boxes/saved/mounts'))).toBe('invalid_request')
    expect((await daemon.call('DELETE', '/boxes/saved/mounts?at=%2Fsnapshots%2Fs')).json).toEqual(mounted)
    expect(codeOf(await daemon.call('DELETE', '/boxes/saved/mounts?at=s'))).toBe('file_not_found')
    const { json: restored } = await daemon.call('POST', '/boxes/saved/restore', { body: { snapshot: 's' } })
    expect(Box.parse(restored).parent).toBe(snapshot.id)
    const forked = await daemon.call('POST', '/fork', { body: { from: 's', name: 'f', count: 2 } })
    expect(Fork.parse(forked.json).boxes.map(({ name, parent }) => [name, parent])).toEqual([
      ['f-1', snapshot.id],
      ['f-2', snapshot.id],
    ])
    expect(codeOf(await daemon.call('POST', '/fork', { body: { from: 's', size: 'large' } }))).toBe('invalid_request')
    expect((await daemon.call('DELETE', '/snapshots/s')).json).toEqual(snapshot)
    expect(codeOf(await daemon.call('DELETE', '/snapshots/s'))).toBe('snapshot_not_found')
  })

  test('images are imported as a stream', async () => {
    const answer = await daemon.call('POST', '/images/import?name=mine', { raw: Buffer.alloc(3_000_000) })
    expect(answer).toMatchObject({ status: 201, json: { name: 'mine', sizeBytes: 3_000_000 } })
  })

  test('the environment of an imported box has names that a shell can have', async () => {
    expect(codeOf(await daemon.call('POST', '/import?env=a-b%3Dc'))).toBe('invalid_request')
  })

  test('metrics count boxes and requests by route', async () => {
    const { text } = await daemon.call('GET', '/metrics')
    expect(text).toMatch(/^gibil_boxes\{shape="container",status="running"\} \d+$/m)
    expect(text).toMatch(/^gibil_http_requests_total\{method="GET",path="\/boxes\/\{box\}",status="404"\} \d+$/m)
    expect(text).toMatch(/^gibil_create_phase_duration_seconds_count\{shape="container",phase="start"\} \d+$/m)
    expect(text).toContain('nodejs_eventloop_lag_seconds')
  })
})
