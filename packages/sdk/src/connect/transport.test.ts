import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { createFiles } from '../box/files.ts'
import { gibilHome } from './locate.ts'
import { createTransport } from './transport.ts'

let dir: string
let server: Server | undefined

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-sdk-'))
})
afterEach(async () => {
  server?.closeAllConnections()
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)))
  server = undefined
  await rm(dir, { recursive: true, force: true })
})

type Handler = Parameters<typeof createServer>[1]
async function listen(where: string | number, handler: Handler): Promise<number> {
  const made = createServer(handler)
  server = made
  await new Promise<void>((resolve) => made.listen(where as never, resolve))
  const address = made.address()
  return typeof address === 'object' && address ? address.port : 0
}

const Answer = z.object({ path: z.string(), token: z.string().optional() })
const echo: Handler = (request, response) => {
  request.resume()
  request.on('end', () => response.end(JSON.stringify({ path: request.url, token: request.headers.authorization })))
}

describe('where a daemon is', () => {
  test('the option beats GIBIL_HOME, which beats the default', () => {
    const env = { GIBIL_HOME: '/from-env', HOME: '/me' }
    expect(gibilHome({ home: '/given', env })).toBe('/given')
    expect(gibilHome({ env })).toBe('/from-env')
    expect(gibilHome({ env: { HOME: '/me' } })).toBe(process.getuid?.() === 0 ? '/var/lib/gibil' : '/me/.gibil')
  })

  test('nobody there is daemon_unreachable, with what to do', async () => {
    const error = await createTransport({ home: dir })
      .send('GET', '/health')
      .catch((thrown) => thrown)
    expect(error).toMatchObject({ code: 'daemon_unreachable', hint: expect.stringContaining('gibil up') })
    expect(error.message).toContain(dir)
  })

  test('an address that is none is refused before anything is sent', async () => {
    await expect(createTransport({ url: 'ftp://x' }).send('GET', '/x')).rejects.toMatchObject({
      code: 'invalid_request',
    })
  })

  test('a home with a name longer than a socket address takes', async () => {
    const home = join(dir, 'a'.repeat(120))
    await mkdir(home)
    process.chdir(home)
    await listen('gibild.sock', echo)
    process.chdir('/')
    const answer = await createTransport({ home }).call(Answer, 'GET', '/boxes', {
      query: { a: 'x y', b: undefined, c: ['1', '2'] },
    })
    expect(answer.path).toBe('/v1/boxes?a=x+y&c=1&c=2')
  })

  test('the socket that gibild.json names', async () => {
    const path = join(dir, 'elsewhere.sock')
    await writeFile(join(dir, 'gibild.json'), JSON.stringify({ socket: path }))
    await listen(path, echo)
    expect((await createTransport({ home: dir }).call(Answer, 'GET', '/x')).path).toBe('/v1/x')
  })

  test('HTTP carries the token, and the path of the address', async () => {
    const port = await listen(0, echo)
    const env = { GIBIL_URL: `http://127.0.0.1:${port}/prefix/`, GIBIL_TOKEN: 'secret' }
    const answer = await createTransport({ env }).call(Answer, 'GET', '/x')
    expect(answer).toEqual({ path: '/prefix/v1/x', token: 'Bearer secret' })
  })
})

describe('answers', () => {
  const failing =
    (status: number, body: string): Handler =>
    (_, response) =>
      response.writeHead(status).end(body)

  test('a refusal becomes the error that the daemon sent', async () => {
    const body = { error: { code: 'name_in_use', message: 'taken', hint: 'another', details: { name: 'w' } } }
    await listen(join(dir, 'gibild.sock'), failing(409, JSON.stringify(body)))
    const error = await createTransport({ home: dir })
      .send('POST', '/boxes')
      .catch((thrown) => thrown)
    expect(error).toMatchObject({ name: 'GibilError', code: 'name_in_use', hint: 'another', details: { name: 'w' } })
  })

  test('what is no error body of ours is internal and shows the start of it', async () => {
    await listen(join(dir, 'gibild.sock'), failing(502, '<html>bad gateway'))
    const error = await createTransport({ home: dir })
      .send('GET', '/x')
      .catch((thrown) => thrown)
    expect(error).toMatchObject({ code: 'internal', message: expect.stringContaining('bad gateway') })
  })

  test('an answer that does not fit the schema names the field', async () => {
    await listen(join(dir, 'gibild.sock'), (_, response) => response.end('{"path":1}'))
    const error = await createTransport({ home: dir })
      .call(Answer, 'GET', '/x')
      .catch((thrown) => thrown)
    expect(error).toMatchObject({ code: 'internal', message: expect.stringContaining('path') })
  })

  test('a connection that breaks midway is interrupted', async () => {
    await listen(join(dir, 'gibild.sock'), (_, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('{')
      setImmediate(() => response.destroy())
    })
    await expect(createTransport({ home: dir }).call(Answer, 'GET', '/x')).rejects.toMatchObject({
      code: 'interrupted',
    })
  })

  test('a download that breaks midway fails with a GibilError, however it is read', async () => {
    await listen(join(dir, 'gibild.sock'), (_, response) => {
      response.writeHead(200, { 'content-length': '100000' }).write('x'.repeat(100))
      setTimeout(() => response.destroy(), 20)
    })
    const files = createFiles(createTransport({ home: dir }), () => '/boxes/b')
    const interrupted = { name: 'GibilError', code: 'interrupted' }
    await expect(files.read('/x')).rejects.toMatchObject(interrupted)
    await expect(files.download('/x', join(dir, 'target'))).rejects.toMatchObject(interrupted)
    const stream = await files.stream('/x')
    await expect(stream.toArray()).rejects.toMatchObject(interrupted)
  })

  test('an abort is cancelled', async () => {
    await listen(join(dir, 'gibild.sock'), () => undefined)
    const call = createTransport({ home: dir }).call(Answer, 'GET', '/x', { signal: AbortSignal.timeout(20) })
    await expect(call).rejects.toMatchObject({ code: 'cancelled' })
  })

  test('a body that cannot be read here is its own error, not one of the connection', async () => {
    await listen(join(dir, 'gibild.sock'), echo)
    const body = Readable.from(
      (async function* () {
        yield Buffer.from('begin')
        throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
      })(),
      { objectMode: false },
    )
    await expect(createTransport({ home: dir }).send('PUT', '/x', { raw: body })).rejects.toThrow('no such file')
  })

  test('a kept connection that the daemon has closed is replaced for a GET', async () => {
    await listen(join(dir, 'gibild.sock'), (request, response) => {
      request.resume()
      response.end('{"path":"x"}')
      // Closed right after the answer, without having said so.
      response.once('finish', () => setTimeout(() => request.socket.destroy(), 5))
    })
    const transport = createTransport({ home: dir })
    for (let index = 0; index < 20; index += 1) {
      await transport.call(Answer, 'GET', '/x')
      await new Promise((resolve) => setTimeout(resolve, index % 10))
    }
  })
})
