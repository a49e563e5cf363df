import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import ssh2, { type ServerChannel } from 'ssh2'
import { afterEach, expect, test } from 'vitest'
import { type Connection, connect } from './connection.ts'
import { makeSshKey } from './ssh-key.ts'
import { streamOver } from './stream.ts'

/** A machine that is reached by SSH and does what it may not. */
const servers: (Server | InstanceType<typeof ssh2.Server>)[] = []
const connections: Connection[] = []

afterEach(() => {
  for (const connection of connections.splice(0)) connection.end()
  for (const server of servers.splice(0)) server.close()
})

const key = makeSshKey('host')

const place = (port: number) => ({
  id: 'b1',
  host: '127.0.0.1',
  port,
  username: 'agent',
  privateKey: makeSshKey('login').privateKey,
  hostKey: key.publicKey,
  keepaliveMs: 1000,
  loginMs: 5000,
})

async function listening(server: Server | InstanceType<typeof ssh2.Server>): Promise<number> {
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}

/** Everyone may log in; each command is given to the test. */
async function machine(onExec: (channel: ServerChannel) => void): Promise<Connection> {
  const server = new ssh2.Server({ hostKeys: [key.privateKey] }, (client) => {
    client.on('error', () => undefined)
    client.on('authentication', (login) => login.accept())
    client.on('session', (accept) => {
      accept().on('exec', (acceptExec) => onExec(acceptExec()))
    })
  })
  const connection = await connect(place(await listening(server)))
  connections.push(connection)
  return connection
}

/** What ssh2 keeps of a channel; a hostile server would not keep to it. */
const windowOf = (channel: ServerChannel): { window: number } =>
  (channel as unknown as { outgoing: { window: number } }).outgoing

test('a machine that sends more than it was granted loses its connection', async () => {
  let stop = false
  const connection = await machine(async (channel) => {
    channel.on('error', () => undefined)
    // ssh2 drops what comes when exactly nothing is left of the window; this size never comes to that.
    const chunk = Buffer.alloc(30_000)
    for (let sent = 0; !stop && sent < 4096; sent += 1) {
      windowOf(channel).window = 1024 * 1024 * 1024
      channel.write(chunk)
      if (sent % 16 === 0) await sleep(1)
    }
  })
  const stream = streamOver(await connection.exec('anything'), connection)
  const [error] = await once(stream, 'error')
  stop = true
  expect(error.message).toMatch(/more than it was allowed/)
  expect(stream.readableLength).toBeLessThan(8 * 1024 * 1024)
})

test('a write into a stream that the machine closes fails, and does not wait for ever', async () => {
  const connection = await machine((channel) => {
    channel.exit(0)
    channel.close()
  })
  const stream = streamOver(await connection.exec('anything'), connection)
  stream.resume()
  const failed = once(stream, 'error')
  // More than the window, so that some of it must wait.
  stream.write(Buffer.alloc(8 * 1024 * 1024))
  const [error] = await failed
  expect(error).toBeInstanceOf(Error)
})

test('what is no SSH server, or ends at once, or says nothing, is not reached', async () => {
  const answers = [
    createServer((socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    createServer((socket) => void socket.destroy()),
    createServer((socket) => void socket.on('error', () => socket.destroy())),
  ]
  for (const server of answers) {
    const port = await listening(server)
    await expect(connect({ ...place(port), loginMs: 200 })).rejects.toMatchObject({ code: 'boxd_unreachable' })
  }
  const port = await listening(createServer())
  servers.pop()?.close()
  await expect(connect(place(port))).rejects.toMatchObject({
    code: 'boxd_unreachable',
    message: expect.stringMatching(/ECONNREFUSED/),
  })
})

test('a key that is none is said', async () => {
  await expect(connect({ ...place(9), privateKey: 'no key' })).rejects.toMatchObject({ code: 'boxd_unreachable' })
})

test('a connection that is lost is told of at once to who finds it so', async () => {
  const connection = await machine(() => undefined)
  const told: string[] = []
  connection.onLost(({ code }) => told.push(code))
  // As when the machine ended it: its end is known already, and said later.
  connection.socket.end()
  expect(told).toEqual([])
  await expect(connection.forward('/any')).rejects.toMatchObject({ code: 'boxd_unreachable' })
  expect(told).toEqual(['boxd_unreachable'])
})
