import { once } from 'node:events'
import { Box, type CreateToken, NewToken, Token } from '@gibil/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import * as z from 'zod'
import { routes } from '../src/routes/index.ts'
import { busyboxTar } from './support/busybox-image.ts'
import { startRealDaemon, type TestDaemon } from './support/test-daemon.ts'

// A daemon with its real parts and real boxes, called over TCP by its administrator and by two tokens.
let daemon: TestDaemon
let one: Caller
let two: Caller
let box: Box

interface Caller {
  readonly secret: string
  readonly call: TestDaemon['call']
}

const size = { image: 'busybox', memoryMib: 128, diskMib: 256, cpu: 0.5 }
const codeOf = (answer: { json: unknown }): unknown => (answer.json as { error?: { code?: unknown } }).error?.code

async function callerOf(name: string, limits: Omit<CreateToken, 'name'> = {}): Promise<Caller> {
  const made = await daemon.call('POST', '/tokens', { body: { name, ...limits } })
  expect(made.status, made.text).toBe(201)
  const { secret } = NewToken.parse(made.json)
  const authorization = `Bearer ${secret}`
  const call: Caller['call'] = (method, path, options) =>
    daemon.call(method, path, { ...options, tcp: true, headers: { ...options?.headers, authorization } })
  return { secret, call }
}

beforeAll(async () => {
  daemon = await startRealDaemon()
  const imported = await daemon.call('POST', '/images/import?name=busybox', { raw: await busyboxTar() })
  expect(imported.status, imported.text).toBe(201)
  one = await callerOf('one', { maxBoxes: 3 })
  two = await callerOf('two')
  const created = await one.call('POST', '/boxes', { body: { name: 'work', ...size } })
  expect(created.status, created.text).toBe(201)
  box = Box.parse(created.json)
})
afterAll(async () => {
  for (const { id } of z.array(Box).parse((await daemon.call('GET', '/boxes')).json)) {
    await daemon.call('DELETE', `/boxes/${id}`)
  }
  await daemon[Symbol.asyncDispose]()
})

const open = async (caller: Caller, path: string): Promise<WebSocket> => {
  const headers = { authorization: `Bearer ${caller.secret}` }
  return new WebSocket(`${daemon.daemon.url.replace('http', 'ws')}/v1${path}`, { headers })
}

describe('a token', () => {
  test('works with its own boxes as the administrator with his', async () => {
    expect(box.owner).toBeNull()
    const ran = await one.call('POST', '/boxes/work/run', {
      body: { command: 'echo $((6 * 7)) > /tmp/answer; cat /tmp/answer' },
    })
    expect(ran.json).toMatchObject({ exitCode: 0, stdout: '42\n' })
    expect((await one.call('GET', '/boxes/work/files?path=/tmp/answer')).text).toBe('42\n')
    const socket = await open(one, '/boxes/work/exec')
    await once(socket, 'open')
    socket.terminate()
    const seen = await daemon.call('GET', '/boxes/work@one')
    expect(seen.json).toMatchObject({ id: box.id, owner: 'one' })
    const tokens = z.array(Token).parse((await daemon.call('GET', '/tokens')).json)
    expect(tokens.map(({ name, used }) => [name, used.boxes])).toEqual([
      ['one', 1],
      ['two', 0],
    ])
  })

  const bodies: Readonly<Record<string, unknown>> = {
    extendBox: { ttl: '1h' },
    moveBox: { cpu: 1 },
    setEgress: {},
    restartBox: {},
    createSnapshot: {},
    restoreBox: { snapshot: 's' },
    mountSnapshot: { snapshot: 's' },
    runCommand: { argv: ['true'] },
    startJob: { argv: ['true'] },
    signalJob: { signal: 'SIGTERM' },
    makeDirectory: { path: '/tmp/x' },
    movePath: { from: '/tmp/x', to: '/tmp/y' },
    publishPort: {},
    changeMode: { path: '/tmp/x', mode: 0o600 },
  }
  const ofBoxes = routes.filter(
    ({ path, answer, tokens }) => tokens && path.includes('{box}') && answer.kind !== 'websocket',
  )

  test.each(ofBoxes.map(({ id }) => id))('has no answer from %s for the box of another', async (id) => {
    const { method, path } = ofBoxes.find((one) => one.id === id) ?? { method: '', path: '' }
    const place = /\/(files|tar)/.test(path) && !(id in bodies) ? '?path=%2Ftmp%2Fx' : ''
    const query = id === 'unmountSnapshot' ? '?at=s' : place
    for (const ref of [box.id, 'work', 'work@one', 'bxaaaaaaaaaaaa']) {
      const at = path.replace('{box}', encodeURIComponent(ref)).replace('{job}', 'j1').replace('{port}', '80')
      const body = bodies[id] === undefined ? {} : { body: bodies[id] }
      const answer = await two.call(method.toUpperCase(), `${at}${query}`, body)
      expect([answer.status, codeOf(answer)], answer.text).toEqual([404, 'box_not_found'])
    }
  })

  test.each(['exec', 'dial?port=80'])('has no stream %s into the box of another', async (name) => {
    const socket = await open(two, `/boxes/${box.id}/${name}`)
    const refused = once(socket, 'unexpected-response').then(([, response]) => response.statusCode)
    const closed = once(socket, 'open').then(async () => {
      socket.send(JSON.stringify({ argv: ['true'] }))
      const [message] = await once(socket, 'message')
      return JSON.parse(message.subarray(1).toString()).error.code
    })
    socket.on('error', () => undefined)
    expect([404, 'box_not_found']).toContain(await Promise.any([refused, closed]))
    socket.terminate()
  })

  test('is kept from all that is for the administrator, and says who may', async () => {
    const refused = routes.filter(({ tokens, open: isOpen }) => !tokens && !isOpen)
    expect(refused.map(({ id }) => id).sort()).toEqual([
      'adoptBox',
      'bakeImage',
      'buildImage',
      'checks',
      'createToken',
      'getE2b',
      'importImage',
      'listAdoptable',
      'listBakedImages',
      'listTokens',
      'metrics',
      'pruneImages',
      'pullImage',
      'removeBakedImage',
      'removeImage',
      'revokeToken',
      'saveImage',
      'setBudget',
      'setUpE2b',
      'shutdown',
      'sweep',
    ])
    for (const { method, path } of refused) {
      const answer = await one.call(
        method.toUpperCase(),
        path.replaceAll(/\{\w+\}/g, 'x'),
        method === 'post' ? { body: {} } : {},
      )
      expect([answer.status, codeOf(answer)], path).toEqual([403, 'administrator_only'])
    }
    expect(await one.call('GET', '/images')).toMatchObject({ status: 200, json: [{ name: 'busybox' }] })
  })

  test('is told what its limit is, what it uses, and what to do', async () => {
    const answer = await one.call('POST', '/fleets', { body: { count: 3, ...size } })
    expect(answer).toMatchObject({
      status: 429,
      json: {
        error: {
          code: 'limit_reached',
          message: expect.stringContaining('take 1 boxes of the 3 boxes'),
          hint: expect.stringContaining('Destroy'),
          details: { limit: 'boxes', used: 1, asked: 3, allowed: 3 },
        },
      },
    })
    expect(z.array(Box).parse((await one.call('GET', '/boxes')).json)).toHaveLength(1)
  })

  test('comes to its limit and not beyond it by creates side by side', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => one.call('POST', '/boxes', { body: size })))
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 429, 429, 429, 429, 429, 429])
    const boxes = z.array(Box).parse((await one.call('GET', '/boxes')).json)
    expect(boxes).toHaveLength(3)
    for (const { id, name } of boxes) if (name !== 'work') await one.call('DELETE', `/boxes/${id}`)
  })

  test('hears and sees nothing of others', async () => {
    expect((await two.call('GET', '/boxes')).json).toEqual([])
    expect((await two.call('GET', '/top')).json).toEqual([])
    const response = await daemon.open('GET', '/events?after=0', {
      tcp: true,
      headers: { authorization: `Bearer ${two.secret}` },
    })
    let text = ''
    response.on('data', (chunk) => {
      text += chunk
    })
    await two.call('POST', '/boxes', { body: { name: 'work', wait: 'created', ...size } })
    await expect.poll(() => text).toContain('box.created')
    response.destroy()
    expect(text).not.toContain(box.id)
    expect((await two.call('DELETE', '/boxes/work')).status).toBe(200)
    expect((await one.call('GET', '/boxes/work')).status).toBe(200)
  })
})

test('a token has so many calls open at once, and nobody else is the worse for it', async () => {
  const headers = { authorization: `Bearer ${two.secret}` }
  const streams = await Promise.all(
    Array.from({ length: 256 }, () => daemon.open('GET', '/events', { tcp: true, headers })),
  )
  for (const stream of streams) stream.on('error', () => undefined).resume()
  const refused = await two.call('GET', '/boxes')
  expect([refused.status, codeOf(refused), refused.headers['retry-after']]).toEqual([503, 'busy', '1'])
  const socket = await open(two, '/boxes/work/exec')
  const [, response] = await once(socket, 'unexpected-response')
  expect([response.statusCode, response.headers['retry-after']]).toEqual([503, '1'])
  socket.on('error', () => undefined).terminate()
  expect((await one.call('GET', '/boxes')).status).toBe(200)
  expect((await daemon.call('GET', '/boxes')).status).toBe(200)
  for (const stream of streams) stream.destroy()
  await expect.poll(async () => (await two.call('GET', '/boxes')).status).toBe(200)
})

test('a revoked token is refused, its open streams are cut, and its boxes live on', async () => {
  const caller = await callerOf('brief')
  const made = Box.parse((await caller.call('POST', '/boxes', { body: { name: 'kept', ...size } })).json)
  const headers = { authorization: `Bearer ${caller.secret}` }
  const events = await daemon.open('GET', '/events', { tcp: true, headers })
  const cut = new Promise((resolve) => events.once('close', resolve))
  events.on('error', () => undefined).resume()
  const socket = await open(caller, `/boxes/${made.id}/exec`)
  await once(socket, 'open')
  socket.send(JSON.stringify({ argv: ['sleep', '1000'] }))
  await once(socket, 'message')
  const closed = once(socket, 'close')
  const waiting = caller.call('POST', `/boxes/${made.id}/run`, { body: { argv: ['sleep', '1000'] } })
  await expect
    .poll(async () => JSON.stringify((await daemon.call('GET', `/boxes/${made.id}/jobs`)).json))
    .toMatch(/sleep.*sleep/)

  expect((await daemon.call('DELETE', '/tokens/brief')).status).toBe(204)
  await cut
  await closed
  expect(codeOf(await waiting)).toBe('unauthorized')
  expect(codeOf(await caller.call('GET', '/boxes'))).toBe('unauthorized')
  expect((await daemon.call('GET', '/boxes/kept@brief')).json).toMatchObject({ status: 'running', owner: 'brief' })
})
