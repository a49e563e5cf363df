import { once } from 'node:events'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { CommandExitError, NotFoundError, Sandbox, Secret, Template, TimeoutError } from 'e2b'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeHome, root, type TestHome } from '../../../test/support/home.ts'
import { hardCases } from './hard-cases.ts'
import { shape } from './shape.ts'
import { describeTemplates } from './template-cases.ts'
import { volumeCases } from './volume-cases.ts'

// The unmodified SDK of E2B, on a daemon of this test: on containers, or on microVMs with GIBIL_E2B_SHAPE=microvm.
let home: TestHome
let connection: { apiKey: string; apiUrl: string; sandboxUrl: string }
let sandbox: Sandbox

async function newKey(name: string, ...options: string[]): Promise<string> {
  const made = await home.gibil(['token', 'create', name, '--e2b', ...options])
  expect(made.exitCode, made.stderr).toBe(0)
  return made.stdout.trim()
}

/** The image e2b by its own set-up, on top of base as that is: its recipe would fetch all of it again. */
async function buildImage(): Promise<void> {
  const context = await mkdtemp(join(tmpdir(), 'gibil-e2b-image-'))
  await cp(join(root, 'images', 'e2b', 'setup'), join(context, 'setup'))
  await writeFile(
    join(context, 'Dockerfile'),
    'FROM base\nUSER root\nCOPY setup /setup\nRUN /setup && rm /setup\nUSER agent\n',
  )
  const built = await home.gibil(['image', 'build', context, '--name', 'e2b'])
  await rm(context, { recursive: true })
  expect(built.exitCode, built.stderr).toBe(0)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}

/** A program in a sandbox that tells what it is called. */
const echoHost = `
from http.server import BaseHTTPRequestHandler, HTTPServer
class Echo(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write((self.headers['Host'] + ' ' + self.headers['X-Forwarded-Host']).encode())
HTTPServer(('127.0.0.1', 8000), Echo).serve_forever()
`

/** As a client whose resolver leads the name to this machine. */
function byName(url: string, host: string, headers: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { headers: { ...headers, host } }, (answer) => text(answer).then(resolve, reject)).once('error', reject)
  })
}

beforeAll(async () => {
  home = await makeHome()
  await home.startDaemon()
  await buildImage()
  const setup = await home.gibil(['e2b', 'setup', '--no-build', '--shape', shape, '--port', String(await freePort())])
  expect(setup.exitCode, setup.stderr).toBe(0)
  const variable = (name: string): string => new RegExp(`^export ${name}=(.*)$`, 'm').exec(setup.stdout)?.[1] ?? ''
  connection = {
    apiKey: variable('E2B_API_KEY'),
    apiUrl: variable('E2B_API_URL'),
    sandboxUrl: variable('E2B_SANDBOX_URL'),
  }
  sandbox = await Sandbox.create({ ...connection, envs: { GREETING: 'hello' }, metadata: { test: 'sdk' } })
})
afterAll(() => home[Symbol.asyncDispose]())

describe('commands', () => {
  test('run as the user in his home, with the environment of the sandbox', async () => {
    const { stdout, exitCode } = await sandbox.commands.run('whoami; pwd; echo $GREETING $E2B_SANDBOX_ID')
    expect({ stdout, exitCode }).toEqual({ stdout: `user\n/home/user\nhello ${sandbox.sandboxId}\n`, exitCode: 0 })
  })

  test('stream, take input, and tell how they ended', async () => {
    const pieces: string[] = []
    const command = await sandbox.commands.run('read line; echo got $line; echo bad >&2; exit 3', {
      background: true,
      stdin: true,
      onStdout: (text) => void pieces.push(text),
    })
    await command.sendStdin('this\n')
    const failure = await command.wait().catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(CommandExitError)
    expect(failure).toMatchObject({ exitCode: 3, stdout: 'got this\n', stderr: 'bad\n' })
    expect(pieces.join('')).toBe('got this\n')
  })

  test('go on without who started them, and are found again', async () => {
    const started = await sandbox.commands.run('while sleep 0.2; do echo tick; done', { background: true })
    await started.disconnect()
    const { pid } = started
    expect((await sandbox.commands.list()).map((one) => one.pid)).toContain(pid)
    const heard = Promise.withResolvers<string>()
    const again = await sandbox.commands.connect(pid, { onStdout: heard.resolve })
    expect(await heard.promise).toContain('tick')
    expect(await again.kill()).toBe(true)
    await again.wait().catch(() => undefined)
    expect(await sandbox.commands.kill(pid)).toBe(false)
  })

  test('end by their timeout, and by the end of their sandbox', async () => {
    await expect(sandbox.commands.run('sleep 60', { timeoutMs: 500 })).rejects.toThrow(TimeoutError)
    await expect.poll(async () => (await sandbox.commands.list()).length).toBe(0)
    const other = await Sandbox.create(connection)
    const running = other.commands.run('sleep 60').catch((error: unknown) => error)
    await expect.poll(async () => (await other.commands.list()).length).toBe(1)
    expect(await other.kill()).toBe(true)
    expect(await running).toBeInstanceOf(TimeoutError)
    expect(await other.isRunning()).toBe(false)
    expect(await other.kill()).toBe(false)
  })

  test('have a terminal', async () => {
    let shown = ''
    const onData = (data: Uint8Array): void => {
      shown += Buffer.from(data).toString()
    }
    const terminal = await sandbox.pty.create({ cols: 91, rows: 30, onData })
    await sandbox.pty.resize(terminal.pid, { cols: 101, rows: 31 })
    await sandbox.pty.sendInput(terminal.pid, Buffer.from('stty size; exit\n'))
    await terminal.wait()
    expect(shown).toContain('31 101')
  })
})

describe('files', () => {
  test('of any kind come back as they were', async () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7919) % 256))
    const written = await sandbox.files.write('deep/er/file', new Blob([bytes]).stream())
    expect(written).toMatchObject({ path: '/home/user/deep/er/file', name: 'file', type: 'file' })
    expect(Buffer.from(await sandbox.files.read('deep/er/file', { format: 'bytes' })).equals(bytes)).toBe(true)
    await sandbox.files.write('empty', '')
    expect(await sandbox.files.read('empty')).toBe('')
    const packed = await sandbox.files.write('packed', 'x'.repeat(50_000), { gzip: true, metadata: { author: 'me' } })
    expect(packed.metadata).toEqual({ author: 'me' })
    expect(await sandbox.files.read('packed', { gzip: true })).toHaveLength(50_000)
    expect(await sandbox.files.getInfo('packed')).toMatchObject({ size: 50_000, metadata: { author: 'me' } })
  })

  test('are listed, moved and removed', async () => {
    expect(await sandbox.files.makeDir('tree/a')).toBe(true)
    expect(await sandbox.files.makeDir('tree/a')).toBe(false)
    await sandbox.files.write([
      { path: 'tree/a/one', data: '1' },
      { path: '/home/user/tree/two', data: '2' },
    ])
    const names = (await sandbox.files.list('tree', { depth: 2 })).map(({ path }) => path)
    expect(names).toEqual(['/home/user/tree/a', '/home/user/tree/a/one', '/home/user/tree/two'])
    expect(await sandbox.files.rename('tree/two', 'tree/b/zwei')).toMatchObject({ path: '/home/user/tree/b/zwei' })
    await sandbox.files.remove('tree')
    expect(await sandbox.files.exists('tree')).toBe(false)
    await expect(sandbox.files.read('tree/two')).rejects.toThrow(NotFoundError)
  })

  test('are watched', async () => {
    await sandbox.files.makeDir('watched')
    const seen: string[] = []
    const watch = await sandbox.files.watchDir('watched', ({ type, name }) => void seen.push(`${type} ${name}`), {
      recursive: true,
    })
    await sandbox.files.write('watched/sub/file', 'x')
    await expect.poll(() => seen).toContain('create sub/file')
    await watch.stop()
  })

  test('belong to whom they are written as, and have addresses that open them alone', async () => {
    await sandbox.files.write('secret', 'of root', { user: 'root' })
    expect(await sandbox.files.getInfo('secret', { user: 'root' })).toMatchObject({
      path: '/root/secret',
      owner: 'root',
    })
    await sandbox.files.write('open', 'to all')
    const headers = { 'e2b-sandbox-id': sandbox.sandboxId, 'e2b-sandbox-port': '49983' }
    const address = await sandbox.downloadUrl('open')
    expect(await (await fetch(address)).text()).toBe('to all')
    for (const where of [{}, { headers }]) {
      const other = await fetch(address.replace('path=open', 'path=empty'), where)
      expect(other.status).toBe(401)
    }
    expect((await fetch(address, { headers: { ...headers, 'x-access-token': 'wrong' } })).status).toBe(401)
  })
})

describe('sandboxes', () => {
  test('live as long as was said, and are listed with what they are', async () => {
    await sandbox.setTimeout(600_000)
    const info = await sandbox.getInfo()
    expect(info).toMatchObject({ sandboxId: sandbox.sandboxId, metadata: { test: 'sdk' }, state: 'running' })
    expect(info.endAt.getTime() - Date.now()).toBeGreaterThan(500_000)
    const pages = Sandbox.list({ ...connection, query: { metadata: { test: 'sdk' } } })
    expect((await pages.nextItems()).map(({ sandboxId }) => sandboxId)).toEqual([sandbox.sandboxId])
    expect(pages.hasNext).toBe(false)
  })

  test('belong to one key', async () => {
    const stranger = { ...connection, apiKey: await newKey('stranger') }
    expect(await Sandbox.list(stranger).nextItems()).toEqual([])
    await expect(Sandbox.getInfo(sandbox.sandboxId, stranger)).rejects.toThrow(NotFoundError)
    expect(await Sandbox.kill(sandbox.sandboxId, stranger)).toBe(false)
    expect(await sandbox.isRunning()).toBe(true)
    const refused = await Sandbox.list({ ...connection, apiKey: `e2b_${'0'.repeat(40)}` })
      .nextItems()
      .catch((error: unknown) => error)
    expect(refused).toMatchObject({ name: 'AuthenticationError' })
  })

  test('sleep and wake with what they were doing', async () => {
    const { pid } = await sandbox.commands.run('sleep 600', { background: true })
    expect(await sandbox.pause()).toBe(true)
    expect(await sandbox.pause()).toBe(false)
    expect(await sandbox.isRunning()).toBe(false)
    await sandbox.connect()
    expect((await sandbox.commands.list()).map((one) => one.pid)).toContain(pid)
    expect(await sandbox.commands.kill(pid)).toBe(true)
  })

  test('sleep at the end of their time, and are woken by who comes', async () => {
    const lifecycle = { onTimeout: 'pause', autoResume: true } as const
    const sleeper = await Sandbox.create({ ...connection, timeoutMs: 2_000, lifecycle })
    await sleeper.files.write('kept', 'over the pause')
    await expect.poll(async () => (await sleeper.getInfo()).state).toBe('paused')
    expect(await sleeper.files.read('kept')).toBe('over the pause')
    expect((await sleeper.getInfo()).state).toBe('running')
    await sleeper.kill()
  })

  test('are the beginning of others', async () => {
    await sandbox.files.write('state', 'before')
    const snapshot = await sandbox.createSnapshot({ name: 'point' })
    expect(snapshot.names).toEqual(['point:default'])
    const [fork] = await sandbox.fork()
    await sandbox.files.write('state', 'after')
    const later = await Sandbox.create(snapshot.snapshotId, { ...connection, metadata: { from: 'point' } })
    expect(await later.files.read('state')).toBe('before')
    expect((await later.getInfo()).metadata).toEqual({ from: 'point' })
    expect(fork instanceof Sandbox && (await fork.files.read('state'))).toBe('before')
    if (fork instanceof Sandbox) await fork.kill()
    await later.kill()
    expect(await Sandbox.deleteSnapshot(snapshot.snapshotId, connection)).toBe(true)
    expect(await Sandbox.deleteSnapshot(snapshot.snapshotId, connection)).toBe(false)
  })

  test('show their ports by host name and by header, to whom they should', async () => {
    const network = { allowPublicTraffic: false, maskRequestHost: ['localhost:$', '{PORT}'].join('') }
    const closed = await Sandbox.create({ ...connection, network })
    await closed.files.write('echo.py', echoHost)
    await closed.commands.run('python3 echo.py', { background: true })
    const byHeader = (headers: Record<string, string>): Promise<number> =>
      fetch(connection.sandboxUrl, {
        headers: { 'e2b-sandbox-id': closed.sandboxId, 'e2b-sandbox-port': '8000', ...headers },
      }).then(({ status }) => status)
    expect(await byHeader({})).toBe(403)
    const token = { 'e2b-traffic-access-token': closed.trafficAccessToken ?? '' }
    await expect.poll(() => byHeader(token)).toBe(200)
    const host = `8000-${closed.sandboxId}.e2b.localhost`
    expect(await byName(connection.sandboxUrl, host, token)).toBe(`localhost:8000 ${host}`)
    const shut = await fetch(connection.sandboxUrl, {
      headers: { 'e2b-sandbox-id': closed.sandboxId, 'e2b-sandbox-port': '8001', ...token },
    })
    expect({ status: shut.status, body: await shut.json() }).toEqual({
      status: 502,
      body: {
        sandboxId: closed.sandboxId,
        message: 'The sandbox is running but port is not open',
        port: 8001,
        code: 502,
      },
    })
    await closed.kill()
    expect(await byHeader(token)).toBe(502)
  })

  test('are refused what they cannot have, instead of being given something else', async () => {
    const refused = async (options: object): Promise<unknown> =>
      Sandbox.create({ ...connection, ...options }).then(
        (made) => made.kill(),
        (error: unknown) => (error instanceof Error ? error.message : error),
      )
    const byName = { denyOut: ['0.0.0.0/0'], allowOut: ['example.com'] }
    expect(await refused({ network: byName })).toMatch(/^501: network.allowOut by a domain/)
    expect(await refused({ network: { egressProxy: { address: 'a:1' } } })).toMatch(/^501: network.egressProxy/)
    expect(await refused({ network: { rules: { 'a.example': [] } } })).toMatch(/^501: network.rules .*envs/)
    await expect(Secret.create('key', 'value', connection)).rejects.toThrow(/501: Secret .*envs/)
    await expect(Secret.exists('key', connection)).rejects.toThrow(/501/)
    await expect(Sandbox.create('no-such-template', connection)).rejects.toThrow(/404/)
    expect(await Template.exists('base', connection)).toBe(true)
    expect(await Template.exists('no-such-template', connection)).toBe(false)
    const unknown = await fetch(`${connection.apiUrl}/nodes`, { headers: { 'x-api-key': connection.apiKey } })
    expect({ status: unknown.status, body: await unknown.json() }).toMatchObject({ status: 501, body: { code: 501 } })
  })
})

describeTemplates({ home: () => home, connection: () => connection, newKey })

describe('volumes', () => volumeCases({ home: () => home, connection: () => connection, newKey }))

describe('sandboxes, however hard they are tried,', () => hardCases(() => ({ home, connection })))
