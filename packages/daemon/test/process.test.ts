import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chown, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { tracesOf } from '../../../test/support/host-traces.ts'
import { busyboxTar } from './support/busybox-image.ts'

// The daemon as a process of its own, killed and started again.
const main = resolve(import.meta.dirname, '../src/main.ts')
let home: string
let child: ChildProcess | undefined
let said = ''

beforeEach(async () => {
  home = await mkdtemp('/var/tmp/gibild-process-')
})
afterEach(async () => {
  if (!child || child.exitCode !== null || child.signalCode !== null) await start()
  for (const { id } of (await call('GET', '/boxes')).json as { id: string }[]) await call('DELETE', `/boxes/${id}`)
  await stop('SIGTERM')
  await rm(home, { recursive: true, force: true })
})

async function start(
  env: Record<string, string> = {},
  options: { readonly uid?: number; readonly home?: string } = {},
): Promise<void> {
  said = ''
  const ids = options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }
  const started = spawn(process.execPath, [main, '--home', options.home ?? home], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: '/',
    ...ids,
  })
  child = started
  for (const stream of [started.stdout, started.stderr]) stream.on('data', (data) => (said += data))
  for (let tries = 0; tries < 400; tries += 1) {
    if (started.exitCode !== null) throw new Error(`The daemon ended: ${said}`)
    const answer = await call('GET', '/health', undefined, options.home).catch(() => undefined)
    if ((answer?.json as { status?: string } | undefined)?.status === 'ok') return
    await sleep(25)
  }
  throw new Error(`The daemon does not answer: ${said}`)
}

async function ended(): Promise<number | string | null> {
  if (!child) return null
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return child.exitCode ?? child.signalCode
}

async function stop(signal: NodeJS.Signals): Promise<number | string | null> {
  child?.kill(signal)
  return ended()
}

interface Answer {
  readonly status: number | undefined
  readonly json: unknown
}

function call(method: string, path: string, body?: object | Buffer, where = home): Promise<Answer> {
  return new Promise((done, reject) => {
    const raw = Buffer.isBuffer(body) ? body : body && JSON.stringify(body)
    const headers = body && !Buffer.isBuffer(body) ? { 'content-type': 'application/json' } : {}
    const outgoing = request(
      { socketPath: join(where, 'gibild.sock'), method, path: `/v1${path}`, headers, agent: false },
      (response) => {
        buffer(response).then(
          (text) =>
            done({ status: response.statusCode, json: text.length > 0 ? JSON.parse(text.toString()) : undefined }),
          reject,
        )
      },
    )
    outgoing.on('error', reject)
    outgoing.end(raw)
  })
}

const small = { image: 'busybox', cpu: 1, memoryMib: 256, diskMib: 512 }
const importImage = async (): Promise<void> => {
  expect(await call('POST', '/images/import?name=busybox', await busyboxTar())).toMatchObject({ status: 201 })
}
const run = (name: string) => call('POST', `/boxes/${name}/run`, { argv: ['echo', 'alive'] })

/** What the host has of boxes of this home: all of it carries a name made from the path. */
const traces = () => tracesOf(`gibil-${createHash('sha256').update(home).digest('hex').slice(0, 6)}`)

test('stops in order when it is asked to', async () => {
  await start()
  expect(await stop('SIGTERM')).toBe(0)
  expect(await readdir(home)).not.toContain('gibild.json')
  expect(await readdir(home)).not.toContain('gibild.sock')
  const log = (await readFile(join(home, 'gibild.log'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(log.map(({ msg }) => msg)).toEqual(expect.arrayContaining(['listening', 'ready', 'stopping', 'stopped']))
})

test('is told apart from a second one on its home', async () => {
  await start()
  const second = spawn(process.execPath, [main, '--home', home], { stdio: ['ignore', 'ignore', 'pipe'] })
  const words = await buffer(second.stderr)
  expect(words.toString()).toContain('Another daemon runs on this home')
  expect(second.exitCode ?? (await once(second, 'exit'))[0]).toBe(1)
  expect(await call('GET', '/health')).toMatchObject({ status: 200 })
})

test('refuses arguments that it does not know', async () => {
  const wrong = spawn(process.execPath, [main, '--prot', '1'], { stdio: ['ignore', 'ignore', 'pipe'] })
  expect((await buffer(wrong.stderr)).toString()).toContain("'--prot'")
  expect(wrong.exitCode ?? (await once(wrong, 'exit'))[0]).toBe(2)
  await start()
})

test('finds its boxes running after it was killed', async () => {
  await start()
  await importImage()
  expect(await call('POST', '/boxes', { name: 'kept', ...small })).toMatchObject({ status: 201 })
  const job = await call('POST', '/boxes/kept/jobs', { argv: ['sh', '-c', 'sleep 2; echo later; sleep 1000'] })
  await stop('SIGKILL')
  await start()
  expect(await run('kept')).toMatchObject({ status: 200, json: { stdout: 'alive\n' } })
  const { id } = job.json as { id: string }
  await expect
    .poll(async () => (await call('GET', `/boxes/kept/jobs/${id}/output`)).json, { timeout: 10_000 })
    .toMatchObject({ chunks: [{ text: 'later\n' }] })
})

test('leaves nothing of a create that it was killed in', async () => {
  await start()
  await importImage()
  await stop('SIGTERM')
  await start({ GIBIL_FAILPOINT: 'create.run' })
  await call('POST', '/boxes', { name: 'half', ...small }).catch(() => undefined)
  expect(await ended()).toBe('SIGKILL')
  expect(await traces()).not.toEqual([])
  await start()
  const boxes = (await call('GET', '/boxes')).json as { id: string }[]
  for (const { id } of boxes) await call('DELETE', `/boxes/${id}`)
  // What is there for all boxes of a home goes when the daemon stops without any.
  expect(await stop('SIGTERM')).toBe(0)
  expect(await traces()).toEqual([])
})

const readableByOthers = await new Promise<boolean>((done) => {
  const probe = spawn(process.execPath, [main, '--help'], { uid: 65_534, gid: 65_534, stdio: 'ignore', cwd: '/' })
  probe.once('error', () => done(false))
  probe.once('exit', (code) => done(code === 0))
})

test.skipIf(!readableByOthers)('serves its API without root, and says why it makes no boxes', async () => {
  const other = await mkdtemp(join(tmpdir(), 'gibild-user-'))
  await chown(other, 65_534, 65_534)
  try {
    await start({}, { uid: 65_534, home: other })
    const version = await call('GET', '/version', undefined, other)
    const refused = { provider: 'local', unavailable: expect.objectContaining({ code: 'needs_root' }) }
    expect(version.json).toMatchObject({
      shapes: expect.arrayContaining([
        { shape: 'container', ...refused },
        { shape: 'microvm', ...refused },
        { shape: 'vm', provider: 'hetzner', unavailable: expect.objectContaining({ code: 'cloud_unauthorized' }) },
      ]),
    })
    expect(await call('GET', '/boxes', undefined, other)).toMatchObject({ status: 200, json: [] })
    const created = await call('POST', '/boxes', { name: 'no', image: 'none' }, other)
    expect(created.json).toMatchObject({ error: { code: expect.stringMatching(/needs_root|image_not_found/) } })
    await stop('SIGTERM')
  } finally {
    await rm(other, { recursive: true, force: true })
  }
})
