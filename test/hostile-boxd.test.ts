import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { runDirOf } from './support/footprint.ts'
import { full } from './support/full-form.ts'
import { makeHome, type TestHome } from './support/home.ts'

// A real daemon and the real CLI against a box whose boxd has been taken over: it behaves as the test likes. A box with root may make its own so.
let home: TestHome
let socketPath: string
let server: Server
let behave: (socket: Socket, request: string) => void
const sockets = new Set<Socket>()

beforeAll(async () => {
  home = await makeHome()
  await home.startDaemon()
  for (const name of ['liar', 'honest']) {
    const made = await home.gibil(['create', '--name', name, '--json'])
    expect(made.exitCode, made.stderr).toBe(0)
    if (name === 'liar') socketPath = join(runDirOf(home.path), 'boxes', JSON.parse(made.stdout).id, 'boxd.sock')
  }
  await rename(socketPath, `${socketPath}.real`)
  server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => sockets.delete(socket))
    socket.once('data', (data) => behave(socket, data.toString()))
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
})
afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  server?.close()
  await home?.[Symbol.asyncDispose]()
})

const daemonPid = async (): Promise<number> => JSON.parse(await readFile(join(home.path, 'gibild.json'), 'utf8')).pid
const daemonMib = async (): Promise<number> =>
  Number(/^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${await daemonPid()}/status`, 'utf8'))?.[1]) / 1024

const head = (length: number, extra = '') => `HTTP/1.1 200 OK\r\n${extra}Content-Length: ${length}\r\n\r\n`
const json = (value: unknown): string => {
  const text = JSON.stringify(value)
  return `${head(Buffer.byteLength(text))}${text}`
}
const evil = '\u001b]0;owned\u0007\u001b[2J\u009b31m'

/** Writes without an end, for as long as it is read. */
const flood = (first: string, more: string) => (socket: Socket) => {
  const block = Buffer.from(more.repeat(Math.ceil(65_536 / more.length)))
  socket.write(first)
  const on = (): void => {
    while (!socket.destroyed && socket.write(block)) if (socket.bytesWritten > 1e9) return void socket.destroy()
  }
  socket.on('drain', on)
  on()
}

it.each<[string, (socket: Socket) => void]>([
  ['garbage', (socket) => socket.end('\u0000\u0001SSH-2.0\r\n\r\n')],
  ['an end at once', (socket) => socket.end()],
  ['endless headers', flood('HTTP/1.1 200 OK\r\n', 'X-More: more\r\n')],
  ['an endless line', flood('HTTP/1.1 200 OK\r\nX: ', 'x')],
  ['an endless body', flood('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', '5\r\n[[[[[\r\n')],
  [
    'an enormous frame',
    (socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: gibil-frames/1\r\n\r\n')
      socket.write(Buffer.from([19, 0xff, 0xff, 0xff, 0xff]))
      flood('', 'x')(socket)
    },
  ],
  [
    'an error that writes on the terminal',
    (socket) => {
      const text = JSON.stringify({ error: { code: 'file_not_found', message: `${evil}gone` } })
      socket.end(`HTTP/1.1 404 Not Found\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)
    },
  ],
])('%s ends in an error that is fit for a terminal, and the daemon stays as it was', async (name, how) => {
  behave = how
  const before = await daemonMib()
  // A file may be of any length, so an endless one is no error.
  const copy = name === 'an endless body' ? [] : [['cp', 'liar:/etc/hosts', '-']]
  const commands = [['run', 'liar', 'true'], ['jobs', 'liar'], ['ports', 'liar'], ...copy]
  for (const result of await Promise.all(commands.map((args) => home.gibil(args)))) {
    expect(result.exitCode).not.toBe(0)
    expect(result.stderr).toMatch(/^error: .*\n {2}next: /m)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
    expect(result.stderr + result.stdout).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/)
  }
  expect(await home.gibil(['run', 'honest', 'echo fine'])).toMatchObject({ exitCode: 0, stdout: 'fine\n' })
  // Three callers hold what an answer may have at most; one that is held whole would take gigabytes.
  expect((await daemonMib()) - before).toBeLessThan(256)
})

it.runIf(full)('a box that answers a byte now and then keeps only its own callers waiting', async () => {
  behave = (socket) => {
    const timer = setInterval(() => socket.write('H'), 200)
    socket.once('close', () => clearInterval(timer))
  }
  const waiting = Array.from({ length: 5 }, () => home.gibil(['jobs', 'liar']))
  expect(await home.gibil(['run', 'honest', 'echo fine'])).toMatchObject({ exitCode: 0, stdout: 'fine\n' })
  for (const { exitCode, stderr } of await Promise.all(waiting)) {
    expect(exitCode).not.toBe(0)
    expect(stderr).toMatch(/^error: /)
  }
  expect(await home.gibil(['list', '--json'])).toMatchObject({ exitCode: 0 })
})

it('names that a box makes up are shown without what they would do to a terminal', async () => {
  const job = {
    id: 'j',
    pid: 1,
    argv: [`x${evil}`],
    cwd: `/${evil}`,
    user: evil,
    tty: false,
    label: evil,
    startedAt: '2026-01-01T00:00:00Z',
    exit: null,
    outputBytes: 0,
    firstOffset: 0,
  }
  behave = (socket, request) =>
    socket.end(
      request.startsWith('GET /v1/ports') ? json([{ port: 80, address: evil, pid: 1, process: evil }]) : json([job]),
    )
  for (const args of [
    ['jobs', 'liar'],
    ['ports', 'liar'],
  ]) {
    const { stdout, stderr } = await home.gibil(args)
    expect(stdout + stderr).toContain('owned')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
    expect(stdout + stderr).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/)
  }
})

it.each([
  ['climbs', ['--transform', 's,^file,../../escaped,', 'file']],
  ['is absolute', ['--transform', 's,^file,/tmp/gibil-escaped-test,', 'file']],
  ['goes through a link', ['link', '--transform', 's,^file,link/escaped,', 'file']],
])('a directory that is copied out and %s writes nothing outside of its target', async (how, args) => {
  const work = await mkdtemp(join(tmpdir(), 'gibil-hostile-'))
  try {
    await mkdir(join(work, 'outside'))
    await mkdir(join(work, 'a/b'), { recursive: true })
    await writeFile(join(work, 'file'), 'escaped')
    await execa('ln', ['-s', join(work, 'outside'), join(work, 'link')])
    const { stdout } = await execa('tar', ['-cP', '-C', work, ...args], { encoding: 'buffer' })
    const info = { name: 'd', kind: 'directory', size: 0, mode: 0o755, user: 'root', group: 'root' }
    behave = (socket, request) => {
      if (!request.startsWith('GET /v1/tar')) {
        return void socket.end(json({ ...info, path: '/d', modifiedAt: '2026-01-01T00:00:00Z' }))
      }
      socket.write(head(stdout.length, 'Content-Type: application/x-tar\r\n'))
      socket.end(Buffer.from(stdout))
    }
    const copied = await home.gibil(['cp', 'liar:/d', join(work, 'a/b/target')])
    // A link is made and never followed, so what comes below it takes its place.
    if (how !== 'goes through a link') expect(copied.exitCode, copied.stdout).not.toBe(0)
    expect(await readdir(join(work, 'outside'))).toEqual([])
    expect((await readdir(work)).toSorted()).toEqual(['a', 'file', 'link', 'outside'])
    expect(await readdir(join(work, 'a'))).toEqual(['b'])
    expect(await readFile('/tmp/gibil-escaped-test').catch(() => undefined)).toBeUndefined()
  } finally {
    await rm(work, { recursive: true, force: true })
  }
})
