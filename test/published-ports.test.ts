import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Box, Gibil, type PortAddress } from '@gibil/sdk'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeHome, type TestHome } from './support/home.ts'

// Real boxes, each with a program that serves HTTP in it; visitors are curl, which we did not write, and WebSockets.
let home: TestHome
let dir: string
let gibil: Gibil
let app: PortAddress

/** Node's own modules only, since the box has nothing else. */
const program = `
const { createServer } = require('node:http')
const { createHash } = require('node:crypto')
createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://x')
  if (pathname === '/sum') {
    const hash = createHash('sha256')
    for await (const chunk of request) hash.update(chunk)
    response.end(hash.digest('hex'))
  } else if (pathname === '/bytes') {
    const hash = createHash('sha256')
    const part = Buffer.alloc(65536)
    response.writeHead(200, { trailer: 'X-Sum' })
    for (let left = Number(searchParams.get('n')); left > 0; left -= part.length) {
      part.writeUInt32LE(left >>> 0)
      hash.update(part)
      if (!response.write(part)) await new Promise((go) => response.once('drain', go).once('close', go))
      if (response.destroyed) return
    }
    response.addTrailers({ 'X-Sum': hash.digest('hex') })
    response.end()
  } else if (pathname === '/events') {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    let n = 0
    const timer = setInterval(() => response.write('data: ' + ++n + '\\n\\n'), 100)
    response.once('close', () => clearInterval(timer))
  } else if (pathname === '/never') {
    response.once('close', () => require('node:fs').writeFileSync('/tmp/left', 'yes'))
  } else response.end(JSON.stringify({ url: request.url, headers: request.headers }))
}).on('upgrade', (request, socket, head) => {
  const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11')
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: ' +
    accept.digest('base64') + '\\r\\n\\r\\n')
  // An unmasked frame for each masked one, of at most 125 bytes: enough of RFC 6455 to say the same again.
  socket.on('data', (frame) => {
    const length = frame[1] & 127
    const body = frame.subarray(6, 6 + length).map((byte, index) => byte ^ frame[2 + (index % 4)])
    socket.write(Buffer.concat([Buffer.from([frame[0], length]), body]))
  })
  socket.on('error', () => undefined)
}).listen(3000, '127.0.0.1')
`

async function ok(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await home.gibil(args)
  expect(exitCode, `gibil ${args.join(' ')}: ${stderr}`).toBe(0)
  return stdout
}
const publish = async (...args: string[]): Promise<PortAddress> => JSON.parse(await ok('publish', ...args, '--json'))
const show = async (box: string): Promise<Box> => JSON.parse(await ok('show', box, '--json'))
/** curl resolves names below localhost to this machine by itself. */
async function curl(...args: string[]): Promise<{ status: number; body: string; exit: number | undefined }> {
  const { stdout, exitCode } = await execa(
    'curl',
    ['--silent', '--show-error', '--noproxy', '*', '--max-time', '60', '--write-out', '\n%{http_code}', ...args],
    { reject: false },
  )
  const at = stdout.lastIndexOf('\n')
  return { status: Number(stdout.slice(at + 1)), body: stdout.slice(0, at), exit: exitCode }
}
const token = (): string => `X-Gibil-Token: ${app.token}`
/** The bytes of a WebSocket below its frames: a client that looks names up would not find those below localhost everywhere. */
function webSocket(secret: string): Promise<Socket> {
  const { port, host } = new URL(app.url ?? '')
  const asks = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' }
  const headers = { ...asks, host, 'x-gibil-token': secret, 'sec-websocket-key': randomBytes(16).toString('base64') }
  const outgoing = request({ host: '127.0.0.1', port, path: '/live', headers })
  outgoing.end()
  return new Promise((resolve, reject) => {
    outgoing.once('upgrade', (_response, socket) => resolve(socket as Socket))
    outgoing.once('response', ({ statusCode }) => reject(new Error(String(statusCode))))
    outgoing.once('error', reject)
  })
}
/** A text of at most 125 bytes, masked by zeros (RFC 6455 section 5.2). */
const frame = (text: string): Buffer => Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0, ...Buffer.from(text)])
async function daemonMemory(): Promise<number> {
  const { pid } = JSON.parse(await readFile(join(home.path, 'gibild.json'), 'utf8'))
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}
const serveIn = async (box: string): Promise<void> => {
  await writeFile(join(dir, 'app.js'), program)
  await ok('cp', join(dir, 'app.js'), `${box}:/tmp/app.js`)
  await ok('run', box, '--detach', '--', 'node', '/tmp/app.js')
  await ok('run', box, 'until curl -s localhost:3000 > /dev/null; do sleep 0.05; done')
}

beforeAll(async () => {
  home = await makeHome()
  dir = await mkdtemp(join(tmpdir(), 'gibil-ports-'))
  const started = await home.startDaemon({ GIBIL_PROXY: 'auto' })
  expect(started.exitCode, started.stderr).toBe(0)
  gibil = Gibil.connect({ home: home.path })
  // Without any network: what comes in comes by boxd.
  await ok('create', '--name', 'my-web-2', '--network', 'none', '--ttl', 'none')
  app = await publish('my-web-2', '3000')
  await serveIn('my-web-2')
})
afterAll(async () => {
  gibil?.close()
  await home?.[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

describe('a published port', () => {
  it('is told with its address, and shown with what listens', async () => {
    expect(app.url).toMatch(/^http:\/\/3000-my-web-2\.localhost:\d+\/$/)
    expect(app.link).toBe(`${app.url}?gibil_token=${app.token}`)
    expect(await ok('publish', 'my-web-2', '3000')).toBe(`${app.link}\n`)
    const ports = JSON.parse(await ok('ports', 'my-web-2', '--json'))
    expect(ports).toEqual([
      expect.objectContaining({
        port: 3000,
        process: expect.any(String),
        published: expect.objectContaining({ url: app.url }),
      }),
    ])
    expect(await ok('ports', 'my-web-2')).toMatch(
      /3000 +127\.0\.0\.1 +\w+ +\d+ +private +http:\/\/3000-my-web-2\.localhost/,
    )
    expect(await ok('__complete', '--', 'unpublish', 'my-web-2', '')).toBe('3000\tprivate\n')
    expect(await ok('__complete', '--', 'publish', 'my-web-2', '3')).toMatch(/^3000\t/)
    expect(await ok('show', 'my-web-2')).toMatch(/published +3000\n/)
  })

  it('gives curl what the program gives, once it may come in', async () => {
    const url = app.url ?? ''
    expect(await curl(url)).toMatchObject({ status: 401, body: expect.stringContaining('is private, and no token') })
    const jar = join(dir, 'cookies')
    const followed = await curl('--location', '--cookie-jar', jar, '--cookie', jar, `${app.link}&page=1`)
    expect(followed.status).toBe(200)
    const seen = JSON.parse(followed.body)
    expect(seen.url).toBe('/?page=1')
    expect(seen.headers).toMatchObject({ host: new URL(url).host, 'x-forwarded-host': new URL(url).host })
    expect(followed.body).not.toContain(app.token)
    const kept = await readFile(jar, 'utf8')
    expect(kept).toMatch(/^#HttpOnly_3000-my-web-2\.localhost\tFALSE\t\/\tFALSE\t0\tgibil_bx/m)
    expect(await curl('--cookie', jar, url)).toMatchObject({
      status: 200,
      body: expect.not.stringContaining('gibil_bx'),
    })
    const administrator = (await readFile(join(home.path, 'token'), 'utf8')).trim()
    const byApi = await curl('-H', `Authorization: Bearer ${administrator}`, url)
    expect([byApi.status, byApi.body.includes(administrator)]).toEqual([200, false])
    expect((await curl('--head', '-H', token(), url)).status).toBe(200)
  })

  it('is opened by the token of the API that owns the box, and by no other', async () => {
    const secrets = await Promise.all(['ci', 'other'].map(async (name) => (await ok('token', 'create', name)).trim()))
    const env = { GIBIL_URL: JSON.parse(await readFile(join(home.path, 'gibild.json'), 'utf8')).url }
    const as = (secret: string | undefined) => ({ env: { ...env, GIBIL_TOKEN: secret ?? '' } })
    const made = await home.gibil(['create', '--name', 'my-web-2', '--ttl', '5m'], as(secrets[0]))
    expect(made.exitCode, made.stderr).toBe(0)
    const published = await home.gibil(['publish', 'my-web-2', '3000', '--json'], as(secrets[0]))
    const address = JSON.parse(published.stdout) as PortAddress
    // By its id: the name is that of another box too.
    expect(address.url).toMatch(/^http:\/\/3000-bx[a-z2-7]{12}\.localhost:/)
    const by = async (secret: string | undefined): Promise<number> =>
      (await curl('-H', `Authorization: Bearer ${secret}`, address.url ?? '')).status
    expect([await by(secrets[0]), await by(secrets[1])]).toEqual([502, 401])
    expect((await curl('-H', `X-Gibil-Token: ${app.token}`, address.url ?? '')).status).toBe(401)
    const theft = await home.gibil(['ports', 'my-web-2@ci'], as(secrets[1]))
    expect(theft.stderr).toContain('There is no box')
    await home.gibil(['destroy', 'my-web-2'], as(secrets[0]))
  })

  it('carries a WebSocket', async () => {
    const socket = await webSocket(app.token ?? '')
    for (const text of ['one', 'two']) {
      socket.write(frame(text))
      expect((await once(socket, 'data'))[0]).toEqual(Buffer.from([0x81, text.length, ...Buffer.from(text)]))
    }
    expect((await show('my-web-2')).activity).toMatchObject({ ports: 1, since: expect.any(String) })
    expect(await ok('show', 'my-web-2')).toMatch(/awake +a connection is open for .*connections: 1 for ports/)
    socket.destroy()
    await expect.poll(async () => (await show('my-web-2')).activity).toMatchObject({ ports: 0, since: null })
    await expect(webSocket('')).rejects.toThrow('401')
  })

  it('streams events as they come, and ends in the box when the visitor leaves', async () => {
    const streaming = execa('curl', ['-sN', '-H', token(), `${app.url}events`], { buffer: false, reject: false })
    const [first] = (await once(streaming.stdout, 'data')) as [Buffer]
    expect(first.toString()).toContain('data: 1\n\n')
    await once(streaming.stdout, 'data')
    streaming.kill()
    const waiting = execa('curl', ['-s', '-H', token(), `${app.url}never`], { reject: false })
    await sleep(300)
    waiting.kill()
    await expect.poll(async () => (await home.gibil(['run', 'my-web-2', 'cat /tmp/left'])).stdout).toBe('yes')
  })

  it('takes and gives 100 MB whole, while the daemon grows by little', async () => {
    const file = join(dir, 'large')
    const hash = createHash('sha256')
    const out = createWriteStream(file)
    for (let part = 0; part < 100; part += 1) {
      const bytes = randomBytes(1_000_000)
      hash.update(bytes)
      if (!out.write(bytes)) await once(out, 'drain')
    }
    await once(out.end(), 'close')
    const sum = hash.digest('hex')
    const before = await daemonMemory()
    const peaks: number[] = []
    const watch = setInterval(() => void daemonMemory().then((memory) => peaks.push(memory)), 50)
    const all = await Promise.all([
      ...[1, 2, 3].map(() => curl('-H', token(), '-T', file, `${app.url}sum`)),
      // In chunks, since its length is not known.
      execa('curl', ['-sS', '-H', token(), '-T', '-', `${app.url}sum`], { inputFile: file }).then(({ stdout }) => ({
        status: 200,
        body: stdout,
      })),
    ])
    for (const { status, body } of all) expect([status, body]).toEqual([200, sum])
    for (const n of [1, 2, 3]) {
      const got = join(dir, `got${n}`)
      const { stdout } = await execa('curl', [
        '-sS',
        '--raw',
        '-H',
        token(),
        '-D',
        '-',
        '-o',
        got,
        `${app.url}bytes?n=0`,
      ])
      expect(stdout).toContain('200 OK')
      await execa('curl', ['-sS', '-H', token(), '-o', got, `${app.url}bytes?n=104857600`])
      const got256 = createHash('sha256')
      for await (const chunk of createReadStream(got)) got256.update(chunk)
      const expected = createHash('sha256')
      const part = Buffer.alloc(65_536)
      for (let left = 104_857_600; left > 0; left -= part.length) {
        part.writeUInt32LE(left)
        expected.update(part)
      }
      expect(got256.digest('hex')).toBe(expected.digest('hex'))
    }
    clearInterval(watch)
    const growth = Math.max(...peaks) - before
    if (process.env['GIBIL_SHOW_MEMORY'])
      process.stderr.write(`proxy: ${before.toFixed(0)} MiB, +${growth.toFixed(0)}\n`)
    expect(growth).toBeLessThan(200)
  })

  it('holds back a box whose visitors do not read', async () => {
    const before = await daemonMemory()
    const { port, host } = new URL(app.url ?? '')
    const deaf = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const socket = connect(Number(port), '127.0.0.1')
        await once(socket, 'connect')
        socket.pause()
        socket.write(`GET /bytes?n=1073741824 HTTP/1.1\r\nHost: ${host}\r\n${token()}\r\n\r\n`)
        return socket
      }),
    )
    await sleep(3000)
    const growth = (await daemonMemory()) - before
    if (process.env['GIBIL_SHOW_MEMORY']) process.stderr.write(`20 deaf visitors: +${growth.toFixed(0)} MiB\n`)
    expect(growth).toBeLessThan(200)
    for (const socket of deaf) socket.destroy()
  })

  it('is in the OpenAPI document and the SDK, and can be taken back under the feet of its visitors', async () => {
    const box = gibil.box('my-web-2')
    const other = await box.publish(4000, { public: true })
    expect(other).toEqual({ port: 4000, public: true, url: expect.any(String), link: other.url, token: null })
    expect((await box.published()).map(({ port }) => port)).toEqual([3000, 4000])
    await box.unpublish(4000)
    await expect(box.unpublish(4000)).rejects.toMatchObject({ code: 'port_not_published' })
    expect((await home.gibil(['unpublish', 'my-web-2', '4000'])).exitCode).toBe(3)
    expect((await home.gibil(['publish', 'my-web-2', '70000'])).exitCode).toBe(2)

    await ok('create', '--name', 'brief', '--ttl', '5m')
    const open = await publish('brief', '3000', '--public')
    await serveIn('brief')
    expect((await curl(open.url ?? '')).status).toBe(200)
    const streaming = execa('curl', ['-sN', `${open.url}events`], { reject: false })
    await once(streaming.stdout ?? process.stdin, 'data')
    await ok('unpublish', 'brief', '3000')
    expect((await streaming).exitCode).not.toBe(0)
    expect((await curl(open.url ?? '')).status).toBe(404)
  })
})

describe('who comes for nothing', () => {
  const ask = (url: string, accept: string) => curl('-H', `Accept: ${accept}`, '-H', token(), url)
  const at = (port: number, box: string): string =>
    `http://${port}-${box}.localhost:${new URL(app.url ?? 'http://x').port}/`

  it('is told what is not there, and what to do: 404, 502', async () => {
    expect(await ask(at(3000, 'nobody'), 'text/html')).toMatchObject({
      status: 404,
      body: expect.stringContaining('There is no box &quot;nobody&quot;'),
    })
    expect(await ask(at(3001, 'my-web-2'), '*/*')).toMatchObject({
      status: 404,
      body: expect.stringContaining('next: Publish it: `gibil publish my-web-2 3001`'),
    })
    const silent = await publish('my-web-2', '3001', '--public')
    const closed = await ask(silent.url ?? '', 'application/json')
    expect([closed.status, JSON.parse(closed.body).error.code]).toEqual([502, 'port_closed'])
    const { stdout: spoken } = await home.gibil([
      'run',
      'my-web-2',
      '--detach',
      '--json',
      '--',
      'python3',
      '-c',
      banner,
    ])
    expect(JSON.parse(spoken).id).toBeTruthy()
    await expect.poll(async () => (await ask(silent.url ?? '', 'application/json')).body).toContain('port_failed')
  })
  const banner = `
import socket
s = socket.create_server(('::1', 3001), family=socket.AF_INET6)
while True:
    c, _ = s.accept()
    c.sendall(b'SSH-2.0-x\\r\\n')
    c.close()
`

  it('of a box that is stopped gets 503, and a paused one is woken', async () => {
    await ok('create', '--name', 'sleeper', '--ttl', '10m')
    const open = await publish('sleeper', '3000', '--public')
    const shut = await publish('sleeper', '3001')
    await serveIn('sleeper')
    expect((await curl(open.url ?? '')).status).toBe(200)
    await ok('pause', 'sleeper')
    expect((await curl(shut.url ?? '')).status).toBe(401)
    expect((await show('sleeper')).status, 'who may not come in wakes nobody').toBe('paused')
    expect((await curl(open.url ?? '')).status).toBe(200)
    expect((await show('sleeper')).status).toBe('running')
    await ok('stop', 'sleeper')
    const stopped = await ask(open.url ?? '', 'text/html')
    expect(stopped.status).toBe(503)
    expect(stopped.body).toMatch(/is stopped and cannot be reached[\s\S]*gibil start sleeper/)
    expect(await ok('ports', 'sleeper')).toMatch(/3000 +nothing listens .* public +http/)
  })

  it('of a box that goes away is told, whether an answer has begun or not', async () => {
    await ok('create', '--name', 'goner', '--ttl', '10m')
    const open = await publish('goner', '3000', '--public')
    await serveIn('goner')
    expect((await curl(open.url ?? '')).status).toBe(200)
    const waiting = curl(`${open.url}never`)
    const streaming = execa('curl', ['-sN', `${open.url}events`], { reject: false })
    await once(streaming.stdout ?? process.stdin, 'data')
    await sleep(300)
    await ok('destroy', 'goner')
    expect(await waiting).toMatchObject({ status: 502, body: expect.stringContaining('broke the connection off') })
    expect((await streaming).exitCode).not.toBe(0)
    expect((await curl(open.url ?? '')).status).toBe(404)
  })
})

it('what is published outlives the daemon, with its address', async () => {
  const events = JSON.stringify(await ok('events', '--no-follow', '--json').catch(() => ''))
  expect(events).not.toContain(app.token)
  await ok('down')
  expect((await curl('-H', token(), app.url ?? '')).exit).not.toBe(0)
  await home.startDaemon({ GIBIL_PROXY: 'auto' })
  expect(await publish('my-web-2', '3000')).toEqual(app)
  expect((await curl('-H', token(), app.url ?? '')).status).toBe(200)
})

it('a repository says what is published', async () => {
  const repo = join(dir, 'repo')
  await execa('git', ['init', '-q', repo])
  await writeFile(join(repo, 'app.js'), program)
  await writeFile(
    join(repo, '.gibil.yml'),
    'ports: [3000]\nservices:\n  web: { command: node app.js, ready: { port: 3000 } }\n',
  )
  await ok('create', '--name', 'project', '--repo', repo, '--ttl', '10m')
  const [port] = await gibil.box('project').published()
  expect(port).toMatchObject({ port: 3000, public: false })
  expect((await curl(port?.url ?? '')).status).toBe(401)
  expect((await curl('-H', `X-Gibil-Token: ${port?.token}`, port?.url ?? '')).status).toBe(200)
})
