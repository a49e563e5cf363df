import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { get as getPlain } from 'node:http'
import { connect } from 'node:http2'
import { get as getSecure } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Door } from '../door.ts'
import { certificateFiles, provideCertificate } from './certificate.ts'
import { type Edge, openEdge } from './listen.ts'

let dir: string
let ca: string
let edge: Edge

/** Tells by which version of HTTP it was reached. */
const door: Door = {
  request: (incoming, outgoing) => void outgoing.end(incoming.httpVersion),
  upgrade: (_, socket) => void socket.end('HTTP/1.1 101 Switching\r\n\r\n'),
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-edge-'))
  const certificate = await provideCertificate(dir, 'box.test:7443')
  ca = await readFile(certificateFiles(dir).ca, 'utf8')
  edge = await openEdge(door, { port: 0, certificate, isUpgrade: ({ headers }) => headers.upgrade !== undefined })
})
afterAll(async () => {
  await edge.close()
  await rm(dir, { recursive: true })
})

test('one port speaks plain HTTP, and TLS with HTTP/1.1 and HTTP/2', async () => {
  const host = '127.0.0.1'
  const { port } = edge
  const plain = new Promise<string>((resolve, reject) => {
    getPlain({ host, port }, (answer) => text(answer).then(resolve, reject)).once('error', reject)
  })
  expect(await plain).toBe('1.1')
  const secure = new Promise<string>((resolve, reject) => {
    const options = { host, port, servername: 'api.box.test', ca }
    getSecure(options, (answer) => text(answer).then(resolve, reject)).once('error', reject)
  })
  expect(await secure).toBe('1.1')
  const session = connect(`https://${host}:${port}`, { servername: 'api.box.test', ca })
  const streams = Array.from({ length: 20 }, () => text(session.request({ ':path': '/' })))
  expect(new Set(await Promise.all(streams))).toEqual(new Set(['2.0']))
  session.close()
})

test.each([
  ['api.box.test', 'h2'],
  ['49983-bxabc.box.test', 'h2'],
  ['3000-bxabc.box.test', 'http/1.1'],
])('%s is offered %s', async (servername, protocol) => {
  const socket = connectTls({ host: '127.0.0.1', port: edge.port, servername, ca, ALPNProtocols: ['h2', 'http/1.1'] })
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
  expect(socket.alpnProtocol).toBe(protocol)
  socket.destroy()
})

test('a certificate that is good is kept, and one for another domain is by the same authority', async () => {
  const before = await provideCertificate(dir, 'box.test')
  expect(await provideCertificate(dir, 'box.test:7443')).toEqual(before)
  expect((await provideCertificate(dir, 'other.test')).cert).not.toBe(before.cert)
  expect(await readFile(certificateFiles(dir).ca, 'utf8')).toBe(ca)
})

test('another certificate is for connections from then on, and cuts none', async () => {
  const session = connect(`https://127.0.0.1:${edge.port}`, { servername: 'api.box.test', ca })
  expect(await text(session.request({ ':path': '/' }))).toBe('2.0')
  const other = await mkdtemp(join(tmpdir(), 'gibil-edge-'))
  edge.renew(await provideCertificate(other, 'box.test'))
  expect(await text(session.request({ ':path': '/' }))).toBe('2.0')
  session.close()
  const now = connectTls({ host: '127.0.0.1', port: edge.port, servername: 'api.box.test', ca })
  await expect(new Promise((_, reject) => now.once('error', reject))).rejects.toThrow(/certificate/)
  await rm(other, { recursive: true })
})
