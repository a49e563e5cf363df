import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestOptions, request, type Server } from 'node:http'
import { connect, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { Version } from '@gibil/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { createFakeBoxd } from '../../test/support/fake-boxd.ts'
import { createFakePlane } from '../../test/support/fake-plane.ts'
import { startTestDaemon, type TestDaemon } from '../../test/support/test-daemon.ts'

// Programs of this process stand for those in a box: what is tested is the way between a client and them.
const secret = 'f'.repeat(32)
let daemon: TestDaemon
let proxyPort = 0
const servers: (Server | TcpServer)[] = []
const sockets = new Set<Socket>()

beforeAll(async () => {
  const plane = createFakePlane({})
  await plane.create({ name: 'my-box' })
  const published: typeof plane.published = async (ref) => {
    const box = await plane.get(ref)
    const isOpen = { secret, public: true }
    const ports = servers.map((server) => ({
      port: portOf(server),
      ...isOpen,
      public: !privatePorts.has(portOf(server)),
    }))
    return { box, ports }
  }
  daemon = await startTestDaemon({ ...plane, published }, { boxd: () => createFakeBoxd().api, proxy: 'auto' })
  await daemon.daemon.ready
  proxyPort = Version.parse((await daemon.call('GET', '/version')).json).proxy.port ?? 0
})
afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  for (const server of servers) server.close()
  await daemon[Symbol.asyncDispose]()
})

const privatePorts = new Set<number>()
function portOf(server: Server | TcpServer): number {
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}
async function listening<T extends Server | TcpServer>(server: T): Promise<T> {
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  servers.push(server)
  return server
}
const app = (handler: (incoming: IncomingMessage, outgoing: import('node:http').ServerResponse) => void) =>
  listening(createServer(handler))
/** A program that speaks bytes. */
const raw = (handler: (socket: Socket) => void) => listening(createTcpServer(handler))
const hostOf = (server: Server | TcpServer): string => `${portOf(server)}-my-box.localhost:${proxyPort}`

const ask = (server: Server | TcpServer, path = '/', options: RequestOptions & { body?: string | Buffer } = {}) => {
  const { body, headers, ...rest } = options
  const all = { host: hostOf(server), ...(headers as Record<string, string>) }
  const outgoing = request({ host: '127.0.0.1', port: proxyPort, path, headers: all, ...rest })
  outgoing.on('error', () => undefined)
  outgoing.end(body)
  return (once(outgoing, 'response') as Promise<[IncomingMessage]>).then(([response]) => response)
}
/** Writes bytes to the proxy, and gives what comes back until it closes the connection or says nothing for a while. */
async function say(bytes: string, quietMs = 300): Promise<string> {
  const socket = connect(proxyPort, '127.0.0.1')
  socket.on('error', () => undefined)
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk.toString('latin1')
  })
  socket.write(bytes)
  for (let length = -1; !socket.closed && length !== answer.length; ) {
    length = answer.length
    await Promise.race([once(socket, 'close'), answer === '' ? once(socket, 'data') : sleep(quietMs), sleep(3_000)])
  }
  socket.destroy()
  return answer
}

describe('a request', () => {
  test('comes as it was sent, but for what is of the connection', async () => {
    const echo = await app(async (incoming, outgoing) => {
      const body = (await buffer(incoming)).toString()
      const { method, url, headers } = incoming
      outgoing.setHeader('x-theirs', 'ö')
      outgoing.setHeader('set-cookie', ['a=1', 'b=2'])
      outgoing.statusMessage = 'Fine'
      outgoing.end(Buffer.from(JSON.stringify({ method, url, headers, body })))
    })
    const response = await ask(echo, '/p%20q?x=%2F&y', {
      method: 'PUT',
      // Bytes, since Node would write headers before a text in UTF-8.
      body: Buffer.from('hello'),
      headers: { 'x-mine': 'ä', cookie: `k=v; gibil_b1_80=${secret}`, authorization: 'Bearer of-the-app' },
    })
    expect(response).toMatchObject({
      statusCode: 200,
      statusMessage: 'Fine',
      headers: { 'set-cookie': ['a=1', 'b=2'] },
    })
    const got = JSON.parse(await text(response)) as { headers: Record<string, string> }
    expect(got).toMatchObject({ method: 'PUT', url: '/p%20q?x=%2F&y', body: 'hello' })
    expect(got.headers).toEqual({
      host: hostOf(echo),
      'x-mine': 'ä',
      cookie: 'k=v',
      authorization: 'Bearer of-the-app',
      'content-length': '5',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': hostOf(echo),
      'x-forwarded-proto': 'http',
      connection: 'close',
    })
  })

  test('and its answer may have trailers, no body, or an end that only the connection tells', async () => {
    const trailing = await app(async (incoming, outgoing) => {
      await buffer(incoming)
      outgoing.writeHead(200, { trailer: 'X-Sum' })
      outgoing.write('part')
      outgoing.addTrailers({ 'X-Sum': `of ${incoming.trailers['x-count']}`, 'X-Secret-Length': '1' })
      outgoing.end()
    })
    const answer = await say(
      `POST / HTTP/1.1\r\nHost: ${hostOf(trailing)}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Count\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\nX-Count: 3\r\nHost: evil\r\n\r\n`,
    )
    expect(answer).toContain('\r\n4\r\npart\r\n0\r\nX-Sum: of 3\r\n')

    const head = await app((incoming, outgoing) => {
      outgoing.writeHead(
        incoming.url === '/none' ? 204 : 200,
        incoming.url === '/none' ? {} : { 'content-length': 12345 },
      )
      outgoing.end()
    })
    const bare = await ask(head, '/', { method: 'HEAD' })
    expect([bare.headers['content-length'], await text(bare)]).toEqual(['12345', ''])
    expect((await ask(head, '/none')).statusCode).toBe(204)

    const old = await raw(
      (socket) => void socket.end('HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end'),
    )
    const closed = await ask(old)
    expect([closed.headers['transfer-encoding'], await text(closed)]).toEqual(['chunked', 'until the end'])
    expect(await say(`GET / HTTP/1.0\r\nHost: ${hostOf(old)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 200 OK[\s\S]*\r\n\r\nuntil the end$/,
    )
  })

  test('waits for "100 Continue" until the program says it, and is spared its body when that refuses', async () => {
    const picky = await listening(
      createServer().on(
        'checkContinue',
        async (incoming: IncomingMessage, outgoing: import('node:http').ServerResponse) => {
          if (incoming.url === '/no') return void outgoing.writeHead(413).end('too much')
          outgoing.writeContinue()
          outgoing.end((await buffer(incoming)).toString())
        },
      ),
    )
    const head = (path: string) =>
      `POST ${path} HTTP/1.1\r\nHost: ${hostOf(picky)}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`
    expect(await say(`${head('/yes')}body`)).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK[\s\S]*body/)
    expect(await say(head('/no'))).toMatch(/^HTTP\/1\.1 413[\s\S]*too much/)
    // Also of a proxy that refuses by itself.
    expect(await say(head('/x').replace('my-box', 'no-box'))).toMatch(/^HTTP\/1\.1 404/)
  })

  test('streams both ways at once, each part as it comes', async () => {
    const echo = await app((incoming, outgoing) => {
      outgoing.writeHead(200, { 'content-type': 'text/event-stream' })
      outgoing.flushHeaders()
      incoming.pipe(outgoing)
    })
    const outgoing = request({ host: '127.0.0.1', port: proxyPort, method: 'POST', headers: { host: hostOf(echo) } })
    outgoing.flushHeaders()
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    for (const part of ['data: one\n\n', 'data: two\n\n']) {
      outgoing.write(part)
      expect(String((await once(response, 'data'))[0])).toBe(part)
    }
    outgoing.end()
    await once(response, 'end')
  })

  test('on a connection that is kept is followed by the next', async () => {
    const plain = await app((incoming, outgoing) => void outgoing.end(`<${incoming.url}>`))
    const one = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: ${hostOf(plain)}\r\n\r\n`
    const answer = await say(one('/1') + one('/2') + one('/3'))
    expect(answer.match(/<\/\d>/g)).toEqual(['</1>', '</2>', '</3>'])
  })

  test('that either side breaks off ends on the other', async () => {
    const seen = Promise.withResolvers<void>()
    const slow = await app((incoming, outgoing) => {
      outgoing.once('close', () => seen.resolve())
      if (incoming.url === '/cut') {
        outgoing.writeHead(200, { 'content-length': 100 })
        outgoing.write('half')
        setTimeout(() => incoming.socket.destroy(), 20)
      }
    })
    const cut = await ask(slow, '/cut')
    await expect(text(cut)).rejects.toThrow('aborted')
    const outgoing = request({ host: '127.0.0.1', port: proxyPort, headers: { host: hostOf(slow) } })
    outgoing.on('error', () => undefined)
    outgoing.end()
    const arrived = once(slow, 'request')
    await arrived
    outgoing.destroy()
    await seen.promise
  })

  test('is read no faster than the program reads it, and answered no faster than the client reads', async () => {
    let got = 0
    const deaf = await raw((socket) => socket.pause())
    const socket = connect(proxyPort, '127.0.0.1')
    socket.write(`POST / HTTP/1.1\r\nHost: ${hostOf(deaf)}\r\nContent-Length: ${2 ** 33}\r\n\r\n`)
    const part = Buffer.alloc(1024 * 1024)
    while (got < 512 && socket.write(part)) got += 1
    for (let quiet = 0; quiet < 5 && got < 512; ) {
      const drained = await Promise.race([once(socket, 'drain').then(() => true), sleep(100).then(() => false)])
      quiet = drained ? 0 : quiet + 1
      if (drained) {
        socket.write(part)
        got += 1
      }
    }
    // What the kernel holds of three connections is megabytes; the rest must be with the sender.
    expect(got).toBeLessThan(64)
    socket.destroy()
  })
})

describe('an upgrade', () => {
  test('becomes a WebSocket, with what was sent beside its head', async () => {
    const plain = await app((_incoming, outgoing) => void outgoing.end('no socket'))
    const ws = new WebSocketServer({ server: plain })
    ws.on('connection', (socket, incoming) => {
      socket.send(`hello ${incoming.url}`)
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    })
    const client = new WebSocket(`ws://127.0.0.1:${proxyPort}/live?a=1`, { headers: { host: hostOf(plain) } })
    expect(String((await once(client, 'message'))[0])).toBe('hello /live?a=1')
    const big = Buffer.alloc(3_000_000, 'x')
    client.send(big)
    expect((await once(client, 'message'))[0]).toEqual(big)
    const ended = once([...ws.clients][0] ?? ws, 'close')
    client.close(1000)
    await ended
    ws.close()
  })

  test('to anything else carries bytes both ways until both have ended', async () => {
    const other = await listening(createServer())
    other.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
      socket.write(
        `HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: ${incoming.headers.upgrade}\r\nX-Also: 1\r\n\r\nfirst`,
      )
      socket.write(head)
      socket.on('data', (chunk) => socket.write(chunk.toString().toUpperCase()))
      socket.on('end', () => socket.end('!'))
    })
    const socket = connect({ port: proxyPort, host: '127.0.0.1', allowHalfOpen: true })
    socket.write(`GET / HTTP/1.1\r\nHost: ${hostOf(other)}\r\nConnection: upgrade\r\nUpgrade: my-own/1\r\n\r\nhead `)
    socket.end('late')
    const all = (await buffer(socket)).toString()
    expect(all).toMatch(
      /^HTTP\/1\.1 101 [\s\S]*X-Also: 1\r\nConnection: Upgrade\r\nUpgrade: my-own\/1\r\n\r\nfirst[\s\S]*!$/,
    )
    expect(all.toLowerCase()).toContain('head late')
  })

  test('that is refused is an answer like any other', async () => {
    const plain = await app(
      (incoming, outgoing) => void outgoing.writeHead(426).end(`only HTTP, no ${incoming.headers.upgrade}`),
    )
    const bytes = `GET / HTTP/1.1\r\nHost: ${hostOf(plain)}\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`
    expect(await say(bytes)).toMatch(/^HTTP\/1\.1 426 [\s\S]*only HTTP, no x/)
    const h2c = bytes.replace('Upgrade: x', 'Upgrade: h2c')
    expect(await say(h2c)).toContain('no undefined')
    expect(await say(bytes.replace('my-box', 'no-box'))).toMatch(/^HTTP\/1\.1 404/)
  })
})

describe('a private port', () => {
  let shy: Server
  beforeAll(async () => {
    shy = await app((incoming, outgoing) => void outgoing.end(JSON.stringify([incoming.url, incoming.headers])))
    privatePorts.add(portOf(shy))
  })
  const cookie = (value: string): string => `gibil_b1_${portOf(shy)}=${value}`

  test('says that it is one, and how to get in', async () => {
    const text401 = await ask(shy)
    expect(text401).toMatchObject({ statusCode: 401, headers: { 'content-type': 'text/plain; charset=utf-8' } })
    expect(await text(text401)).toMatch(/is private, and no token was given\.\n {2}next: Open the link/)
    const page = await ask(shy, '/', { headers: { accept: 'text/html' } })
    expect(await text(page)).toContain('<h1>This port is private</h1>')
    const wrong = await ask(shy, `/?gibil_token=${'0'.repeat(32)}`, { headers: { accept: 'application/json' } })
    expect(JSON.parse(await text(wrong))).toMatchObject({ error: { code: 'unauthorized' } })
  })

  test.each([
    ['a header', () => ({ 'x-gibil-token': secret })],
    ['a bearer', () => ({ authorization: `Bearer ${secret}` })],
    ['a cookie', () => ({ cookie: `${cookie('old')}; a=1; ${cookie(secret)}` })],
    ['a cookie, from a page of its own', () => ({ cookie: cookie(secret), origin: `http://${hostOf(shy)}` })],
    ['the token of the administrator', () => ({ authorization: `Bearer ${daemon.daemon.token}` })],
  ])('is opened by %s, which the program does not see', async (_, headers) => {
    const response = await ask(shy, '/x', { headers: headers() })
    const body = await text(response)
    expect([response.statusCode, body.includes(secret), body.includes(daemon.daemon.token)]).toEqual([
      200,
      false,
      false,
    ])
  })

  test('is not opened by what is nearly right', async () => {
    for (const headers of [
      { 'x-gibil-token': secret.slice(1) },
      { 'x-gibil-token': `${secret}, ${secret}` },
      { authorization: `Basic ${secret}` },
      { cookie: `gibil_b1_1=${secret}` },
      { cookie: cookie(`"${secret}"`) },
      { cookie: cookie(daemon.daemon.token) },
      { cookie: cookie(secret), origin: `http://3000-other.localhost:${proxyPort}` },
      { cookie: cookie(secret), origin: 'null' },
      { authorization: `Bearer gibil_${'0'.repeat(64)}` },
    ]) {
      expect((await ask(shy, '/', { headers })).statusCode).toBe(401)
    }
    // A token of the API has no place in an address.
    expect((await ask(shy, `/?gibil_token=${daemon.daemon.token}`)).statusCode).toBe(401)
  })

  test('a link becomes a cookie, of this host and for no script', async () => {
    const response = await ask(shy, `//evil.com/?a=1&gibil_token=${secret}&b=%26`)
    expect(response).toMatchObject({
      statusCode: 303,
      headers: {
        location: `http://${hostOf(shy)}//evil.com/?a=1&b=%26`,
        'set-cookie': [`${cookie(secret)}; Path=/; HttpOnly; SameSite=Lax`],
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
      },
    })
    const posted = await ask(shy, `/post?gibil_token=${secret}`, { method: 'POST', body: '' })
    expect(JSON.parse(await text(posted))[0]).toBe('/post')
  })

  test('and a public one are left for an address without a token too', async () => {
    privatePorts.delete(portOf(shy))
    const response = await ask(shy, '/?gibil_token=whatever')
    expect([response.statusCode, response.headers['set-cookie']]).toEqual([303, undefined])
    const leaked = await ask(shy, '/', { headers: { authorization: `Bearer ${daemon.daemon.token}` } })
    expect(await text(leaked)).not.toContain(daemon.daemon.token)
    privatePorts.add(portOf(shy))
  })
})

describe('a request that could mean two things', () => {
  const seen: string[] = []
  let victim: TcpServer
  beforeAll(async () => {
    victim = await raw((socket) => {
      socket.on('data', (chunk) => {
        seen.push(chunk.toString('latin1'))
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      })
    })
  })
  const hidden = 'GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n'
  test.each([
    [
      'a length and chunks',
      'POST / HTTP/1.1\r\nHost: $\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'chunks and a length',
      'POST / HTTP/1.1\r\nHost: $\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n',
    ],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: $\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n'],
    ['a list of lengths', 'POST / HTTP/1.1\r\nHost: $\r\nContent-Length: 0, 40\r\n\r\n'],
    ['a length with a sign', 'POST / HTTP/1.1\r\nHost: $\r\nContent-Length: +5\r\n\r\n'],
    ['another coding', 'POST / HTTP/1.1\r\nHost: $\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
    ['a blank before the colon', 'POST / HTTP/1.1\r\nHost: $\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n'],
    ['a folded line', 'POST / HTTP/1.1\r\nHost: $\r\nX: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a bare line feed', 'POST / HTTP/1.1\nHost: $\nTransfer-Encoding: chunked\n\n0\n\n'],
    ['two hosts', 'GET / HTTP/1.1\r\nHost: $\r\nHost: evil\r\n\r\n'],
    ['no host', 'GET / HTTP/1.1\r\n\r\n'],
    ['an absolute target', 'GET http://$/ HTTP/1.1\r\nHost: $\r\n\r\n'],
    ['a tunnel', 'CONNECT $ HTTP/1.1\r\nHost: $\r\n\r\n'],
    ['a NUL', 'GET / HTTP/1.1\r\nHost: $\r\nX: a\0b\r\n\r\n'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ])('(%s) never comes to the program', async (_, bytes) => {
    seen.length = 0
    const answer = await say(bytes.replaceAll('$', hostOf(victim)) + hidden)
    expect(answer).toMatch(/^(HTTP\/1\.1 (400|404) |$)/)
    expect(seen).toEqual([])
  })
  test('in its chunks is cut off before what follows', async () => {
    for (const chunk of ['zz\r\n', '5;\nabc\r\n', '5\r\nabcdeX', 'fffffffffffffffff\r\n', '-1\r\n']) {
      seen.length = 0
      await say(`POST / HTTP/1.1\r\nHost: ${hostOf(victim)}\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}${hidden}`)
      expect(seen.join('')).not.toContain('/hidden')
    }
  })
  test('never comes from a body, nor from a header', async () => {
    seen.length = 0
    await say(
      `POST / HTTP/1.1\r\nHost: ${hostOf(victim)}\r\nContent-Length: ${hidden.length}\r\nX-A: a%0d%0aX-B: b\r\n\r\n${hidden}`,
    )
    expect(seen[0]).toContain(`Content-Length: ${hidden.length}\r\n`)
    expect(seen[0]).toContain('Connection: close\r\n')
  })
})

describe('a program that means harm, or fails,', () => {
  test.each([
    ['has a head without end', `HTTP/1.1 200 OK\r\n${'X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n'.repeat(5000)}`],
    ['does not speak HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['breaks off at once', ''],
    ['breaks off within its head', 'HTTP/1.1 200 OK\r\nContent-'],
    [
      'answers with a length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['has two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd'],
    [
      'changes the protocol unasked',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nbytes',
    ],
    ['has a NUL in a header', 'HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n'],
    ['has a status of its own', 'HTTP/1.1 99 Odd\r\nContent-Length: 0\r\n\r\n'],
  ])('that %s is told of as 502', async (_, bytes) => {
    const bad = await raw((socket) => {
      socket.on('data', () => socket.end(bytes, 'latin1'))
    })
    const response = await ask(bad)
    expect(response.statusCode).toBe(502)
    expect(await text(response)).toMatch(/The (answer of the )?program|What the program/)
  })

  test('that hides an answer within its answer is not believed', async () => {
    const two = await raw((socket) => {
      const second = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse'
      socket.on('data', () => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue${second}`))
    })
    const get = `GET / HTTP/1.1\r\nHost: ${hostOf(two)}\r\n\r\n`
    expect(await say(get + get)).not.toContain('false')
  })

  test('that sends endless "102 Processing" and dies holds nobody up', async () => {
    const busy = await raw((socket) => {
      socket.on('data', () => {
        for (let n = 0; n < 1000; n += 1) socket.write('HTTP/1.1 102 Processing\r\n\r\n')
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      })
    })
    const answer = await say(`GET / HTTP/1.1\r\nHost: ${hostOf(busy)}\r\n\r\n`)
    expect(answer.split('102 Processing').length).toBeLessThan(20)
    expect(answer.endsWith('ok')).toBe(true)
  })

  test('that answers nobody does not take the place of others', async () => {
    const silent = await raw(() => undefined)
    const plain = await app((_incoming, outgoing) => void outgoing.end('fine'))
    const waiting = Array.from({ length: 256 }, () => {
      const outgoing = request({ host: '127.0.0.1', port: proxyPort, headers: { host: hostOf(silent) }, agent: false })
      outgoing.on('error', () => undefined)
      outgoing.end()
      return outgoing
    })
    // The 257th of one box is told so, at once.
    await expect.poll(async () => (await ask(plain)).statusCode).toBe(503)
    const refused = await ask(plain)
    expect(refused.headers['retry-after']).toBe('2')
    expect(await text(refused)).toContain('256 requests open')
    for (const one of waiting) one.destroy()
    await expect.poll(async () => (await ask(plain)).statusCode).toBe(200)
  })

  test('that refuses a large body early is heard all the same', async () => {
    const early = await raw((socket) => {
      socket.once('data', () =>
        socket.end('HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nstop'),
      )
    })
    const response = await ask(early, '/', { method: 'POST', body: Buffer.alloc(4_000_000) })
    expect([response.statusCode, await text(response)]).toEqual([413, 'stop'])
  })
})

describe('the places of the API and of the proxy', () => {
  test('are kept apart', async () => {
    const headers = { host: `3000-my-box.localhost:${new URL(daemon.daemon.url).port}` }
    const authorization = `Bearer ${daemon.daemon.token}`
    expect((await daemon.call('GET', '/boxes', { tcp: true, headers: { ...headers, authorization } })).status).toBe(403)
    const page = { authorization, host: 'localhost', origin: `http://3000-my-box.localhost:${proxyPort}` }
    expect((await daemon.call('GET', '/boxes', { tcp: true, headers: page })).status).toBe(403)
    for (const host of ['localhost', `127.0.0.1:${proxyPort}`, 'evil.com', '3000-my-box.localhost.evil.com']) {
      const outgoing = request({
        port: proxyPort,
        host: '127.0.0.1',
        path: '/v1/boxes',
        headers: { host, authorization },
      })
      outgoing.end()
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
      expect(response.statusCode).toBe(404)
      expect(await text(response)).toContain('is not the address of a port')
    }
  })
})

test('a daemon whose proxy finds its port taken works, and says so', async () => {
  const taken = await listening(createTcpServer())
  const plane = createFakePlane({})
  await plane.create({ name: 'w' })
  await using other = await startTestDaemon(plane, { proxy: portOf(taken) })
  const { proxy } = Version.parse((await other.call('GET', '/version')).json)
  expect(proxy).toMatchObject({
    port: null,
    problem: expect.stringMatching(/cannot listen on 127\.0\.0\.1:\d+:.*EADDRINUSE/),
  })
  const refused = await other.call('PUT', '/boxes/w/published/80', { body: {} })
  expect(refused).toMatchObject({ status: 503, json: { error: { code: 'host_unfit' } } })
})
