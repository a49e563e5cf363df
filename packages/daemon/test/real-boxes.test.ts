import { once } from 'node:events'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { Box, FileInfo, FrameType, Job, JobOutput, Metrics, OpenPort, RunResult, TopEntry } from '@gibil/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import * as z from 'zod'
import { busyboxTar } from './support/busybox-image.ts'
import { startRealDaemon, type TestDaemon } from './support/test-daemon.ts'

// A daemon with its real parts, in this process, and one real box that the tests share.
let daemon: TestDaemon

beforeAll(async () => {
  daemon = await startRealDaemon()
  const imported = await daemon.call('POST', '/images/import?name=busybox', { raw: await busyboxTar() })
  expect(imported.status, imported.text).toBe(201)
  const created = await daemon.call('POST', '/boxes', {
    body: { name: 'work', image: 'busybox', memoryMib: 512, diskMib: 1280, cpu: 1 },
  })
  expect(created.status, created.text).toBe(201)
  expect(Box.parse(created.json)).toMatchObject({ status: 'running', readiness: 'ready', user: 'agent' })
})
afterAll(async () => {
  for (const { id } of z.array(Box).parse((await daemon.call('GET', '/boxes')).json)) {
    await daemon.call('DELETE', `/boxes/${id}`)
  }
  await daemon[Symbol.asyncDispose]()
})

const inBox = (path: string, options?: Parameters<TestDaemon['call']>[2] & { readonly method?: string }) =>
  daemon.call(options?.method ?? 'GET', `/boxes/work${path}`, options)
const run = async (body: object): Promise<RunResult> => {
  const answer = await inBox('/run', { method: 'POST', body })
  expect(answer.status, answer.text).toBe(200)
  return RunResult.parse(answer.json)
}

describe('commands', () => {
  test('run to their end', async () => {
    expect(await run({ argv: ['sh', '-c', 'echo out; echo err >&2; exit 3'] })).toMatchObject({
      exitCode: 3,
      signal: null,
      stdout: 'out\n',
      stderr: 'err\n',
      truncated: false,
    })
    expect(await run({ command: 'id -un; pwd' })).toMatchObject({ stdout: 'agent\n/home/agent\n' })
    expect(await run({ argv: ['cat'], stdin: 'in' })).toMatchObject({ stdout: 'in' })
    expect(await run({ argv: ['yes'], timeoutMs: 200, maxOutputBytes: 4 })).toMatchObject({
      timedOut: true,
      stdout: 'y\ny\n',
      truncated: true,
    })
  })

  test('that cannot start say why', async () => {
    const none = await inBox('/run', { method: 'POST', body: { argv: ['no-such-command'] } })
    expect(none).toMatchObject({ status: 422, json: { error: { code: 'command_not_found' } } })
    const nobody = await inBox('/run', { method: 'POST', body: { argv: ['true'], user: 'nobody-here' } })
    expect(nobody).toMatchObject({ status: 422, json: { error: { code: 'user_not_found' } } })
  })

  test('are killed when the client of a run leaves', async () => {
    const response = daemon.open('POST', '/boxes/work/run', { body: { argv: ['sleep', '1000'], label: 'left' } })
    response.catch(() => undefined)
    const job = async () =>
      z
        .array(Job)
        .parse((await inBox('/jobs')).json)
        .find(({ label }) => label === 'left')
    await expect.poll(job).toMatchObject({ exit: null })
    daemon.dropRequests()
    await expect.poll(job).toMatchObject({ exit: { signal: 'SIGKILL' } })
  })

  test('go on as jobs', async () => {
    const started = await inBox('/jobs', { method: 'POST', body: { argv: ['sh', '-c', 'echo one; sleep 1000'] } })
    expect(started.status).toBe(201)
    const { id } = Job.parse(started.json)
    const output = JobOutput.parse((await inBox(`/jobs/${id}/output?offset=0&waitMs=5000`)).json)
    expect(output).toMatchObject({
      chunks: [{ stream: 'stdout', offset: 0, text: 'one\n' }],
      nextOffset: 4,
      exit: null,
    })
    expect((await inBox(`/jobs/${id}`, { method: 'DELETE' })).status).toBe(409)
    expect((await inBox(`/jobs/${id}/signal`, { method: 'POST', body: { signal: 'SIGTERM' } })).status).toBe(204)
    const ended = JobOutput.parse((await inBox(`/jobs/${id}/output?offset=4&waitMs=5000`)).json)
    expect(ended.exit).toMatchObject({ signal: 'SIGTERM' })
    expect((await inBox(`/jobs/${id}`, { method: 'DELETE' })).status).toBe(204)
    expect((await inBox(`/jobs/${id}`)).json).toMatchObject({ error: { code: 'job_not_found' } })
  })

  test('stream both ways, and go on when the socket closes', async () => {
    const url = `ws+unix:${daemon.daemon.socketPath}:/v1/boxes/work/exec`
    const first = new WebSocket(url)
    await once(first, 'open')
    first.send(JSON.stringify({ command: 'while read line; do echo "got $line"; done; echo end', stdin: true }))
    const [started] = await once(first, 'message')
    expect(started[0]).toBe(FrameType.started)
    const { job } = JSON.parse(started.subarray(1).toString())
    first.send(Buffer.concat([Buffer.of(FrameType.stdin), Buffer.from('a\n')]))
    const [got] = await once(first, 'message')
    expect(got.subarray(1).toString()).toBe('got a\n')
    first.terminate()

    const second = new WebSocket(url)
    const frames: { type: number; text: string }[] = []
    second.on('message', (data: Buffer) => frames.push({ type: data[0] ?? 0, text: data.subarray(1).toString() }))
    await once(second, 'open')
    second.send(JSON.stringify({ attach: job.id, offset: 4 }))
    await expect.poll(() => frames.map(({ text }) => text).join('')).toContain('a\n')
    second.send(Buffer.concat([Buffer.of(FrameType.stdin), Buffer.from('b\n')]))
    second.send(Buffer.of(FrameType.stdinEnd))
    await once(second, 'close')
    const printed = frames.filter(({ type }) => type === FrameType.stdout).map(({ text }) => text)
    expect(printed.join('')).toBe('a\ngot b\nend\n')
    expect(frames.at(-1)?.type).toBe(FrameType.exit)
  })

  test('that print more than a client reads wait for it, and the daemon stays small', async () => {
    const socket = new WebSocket(`ws+unix:${daemon.daemon.socketPath}:/v1/boxes/work/exec`)
    await once(socket, 'open')
    socket.send(JSON.stringify({ argv: ['sh', '-c', 'head -c 300000000 /dev/zero'] }))
    await once(socket, 'message')
    socket.pause()
    await sleep(1000)
    const before = process.memoryUsage().rss
    let got = 0
    let last = -1
    socket.on('message', (data: Buffer) => {
      last = data[0] ?? -1
      if (last === FrameType.stdout) got += data.length - 1
    })
    socket.resume()
    await once(socket, 'close')
    expect(last).toBe(FrameType.exit)
    expect(got).toBeGreaterThan(298_000_000)
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024)
  })
})

describe('files', () => {
  test('are written, read in part, looked at, moved, changed and removed', async () => {
    const written = await inBox('/files?path=~/a/b.txt&mode=640', { method: 'PUT', raw: 'hello world' })
    expect(written.status, written.text).toBe(201)
    expect(FileInfo.parse(written.json)).toMatchObject({ size: 11, mode: 0o640, user: 'agent' })
    expect((await inBox('/files?path=~/a/b.txt')).text).toBe('hello world')
    const part = await inBox('/files?path=~/a/b.txt', { headers: { range: 'bytes=6-8' } })
    expect(part).toMatchObject({ status: 206, text: 'wor' })
    expect(part.headers['content-range']).toBe('bytes 6-8/11')
    const post = (path: string, body: object) => inBox(path, { method: 'POST', body })
    expect((await post('/files/mkdir', { path: '~/c/d' })).status).toBe(204)
    expect((await post('/files/move', { from: '~/a/b.txt', to: '~/c/d/e.txt' })).status).toBe(204)
    expect((await post('/files/chmod', { path: '~/c/d/e.txt', mode: 0o600 })).status).toBe(204)
    expect(FileInfo.parse((await inBox('/files/stat?path=~/c/d/e.txt')).json)).toMatchObject({ mode: 0o600 })
    const list = z.array(FileInfo).parse((await inBox('/files/list?path=~/c&depth=2')).json)
    expect(list.map(({ path }) => path)).toEqual(['/home/agent/c/d', '/home/agent/c/d/e.txt'])
    expect((await inBox('/files?path=~/c', { method: 'DELETE' })).json).toMatchObject({
      error: { code: 'file_conflict' },
    })
    expect((await inBox('/files?path=~/c&recursive=1', { method: 'DELETE' })).status).toBe(204)
    expect((await inBox('/files?path=~/c')).json).toMatchObject({ error: { code: 'file_not_found' } })
  })

  test('of a gigabyte go through without being held', async () => {
    const size = 1024 ** 3
    const chunk = Buffer.alloc(256 * 1024, 7)
    const before = process.memoryUsage().rss
    const source = Readable.from(
      (function* () {
        for (let sent = 0; sent < size; sent += chunk.length) yield chunk
      })(),
    )
    const written = await inBox('/files?path=/tmp/big', { method: 'PUT', raw: source })
    expect(FileInfo.parse(written.json).size).toBe(size)
    const response = await daemon.open('GET', '/boxes/work/files?path=/tmp/big')
    expect(response.headers['content-length']).toBe(String(size))
    let read = 0
    let most = 0
    for await (const part of response) {
      read += part.length
      most = Math.max(most, process.memoryUsage().rss)
    }
    expect(read).toBe(size)
    expect(most - before).toBeLessThan(300 * 1024 * 1024)
    await inBox('/files?path=/tmp/big', { method: 'DELETE' })
  })

  test('that do not fit on the disk of the box leave nothing', async () => {
    const source = Readable.from(
      (function* () {
        for (let part = 0; part < 8000; part += 1) yield Buffer.alloc(256 * 1024)
      })(),
    )
    const answer = await inBox('/files?path=/tmp/too-big', { method: 'PUT', raw: source })
    expect(answer).toMatchObject({ status: 507, json: { error: { code: 'disk_full' } } })
    expect(await run({ argv: ['ls', '-A', '/tmp'] })).toMatchObject({ stdout: '' })
  })

  test('come and go as a tree', async () => {
    await inBox('/files?path=~/tree/x/y', { method: 'PUT', raw: 'y' })
    const tar = await buffer(await daemon.open('GET', '/boxes/work/tar?path=~/tree'))
    const unpacked = await inBox('/tar?path=~/copy', { method: 'PUT', raw: tar })
    expect(unpacked.status, unpacked.text).toBe(204)
    expect((await inBox('/files?path=~/copy/x/y')).text).toBe('y')
    expect((await inBox('/tar?path=~/none')).json).toMatchObject({ error: { code: 'file_not_found' } })
  })

  test('are watched', async () => {
    await inBox('/files/mkdir', { method: 'POST', body: { path: '~/watched' } })
    const response = await daemon.open('GET', '/boxes/work/files/watch?path=~/watched')
    let text = ''
    response.setEncoding('utf8').on('data', (part) => {
      text += part
    })
    await expect.poll(() => text).toContain('event: ready')
    await inBox('/files?path=~/watched/new', { method: 'PUT', raw: 'x' })
    await expect.poll(() => text).toContain('/home/agent/watched/new')
    response.destroy()
  })
})

describe('the inside of a box', () => {
  test('is measured, alone and with all others, without being kept busy', async () => {
    // What earlier tests did may still be ending.
    await sleep(300)
    const before = Box.parse((await inBox('')).json).lastActiveAt
    expect(Metrics.parse((await inBox('/metrics')).json).memoryBytes).toBeGreaterThan(0)
    const top = z.array(TopEntry).parse((await daemon.call('GET', '/top')).json)
    expect(top).toMatchObject([{ name: 'work', failure: null }])
    expect(top[0]?.metrics?.processes).toBeGreaterThan(0)
    expect(Box.parse((await inBox('')).json).lastActiveAt).toBe(before)
  })

  test('has ports that can be listed and dialled', async () => {
    await inBox('/jobs', { method: 'POST', body: { argv: ['nc', '-l', '-p', '8099', '-e', 'cat'] } })
    const ports = async () =>
      z
        .array(OpenPort)
        .parse((await inBox('/ports')).json)
        .map(({ port }) => port)
    await expect.poll(ports).toContain(8099)
    const socket = new WebSocket(`ws+unix:${daemon.daemon.socketPath}:/v1/boxes/work/dial?port=8099`)
    let text = ''
    socket.on('message', (data: Buffer) => {
      text += data
    })
    await once(socket, 'open')
    socket.send(Buffer.from('ping'))
    await expect.poll(() => text).toBe('ping')
    socket.send(Buffer.alloc(0))
    await once(socket, 'close')
  })
})

test('an image that comes or goes is an event', async () => {
  const response = await daemon.open('GET', '/events?after=0')
  let text = ''
  response.setEncoding('utf8').on('data', (part) => {
    text += part
  })
  await expect.poll(() => text).toMatch(/event: image.added\ndata: .*"name":"busybox"/)
  expect((await daemon.call('DELETE', '/images/busybox')).json).toMatchObject({ error: { code: 'image_in_use' } })
  const again = await daemon.call('POST', '/images/import?name=other', { raw: await busyboxTar() })
  expect(again.status).toBe(201)
  expect((await daemon.call('DELETE', '/images/other')).status).toBe(204)
  await expect.poll(() => text).toMatch(/event: image.removed\ndata: .*"name":"other"/)
  response.destroy()
})

test('a box is paused, stopped, started and destroyed', async () => {
  const verb = async (name: string) => Box.parse((await inBox(`/${name}`, { method: 'POST' })).json).status
  expect(await verb('pause')).toBe('paused')
  expect(await verb('resume')).toBe('running')
  await inBox('/files?path=~/kept', { method: 'PUT', raw: 'kept' })
  expect(await verb('stop')).toBe('stopped')
  expect((await inBox('/run', { method: 'POST', body: { argv: ['true'] } })).json).toMatchObject({
    error: { code: 'wrong_state' },
  })
  expect(await verb('start')).toBe('running')
  expect((await inBox('/files?path=~/kept')).text).toBe('kept')
  expect((await inBox('', { method: 'DELETE' })).json).toMatchObject({ status: 'destroyed' })
  expect((await inBox('')).status).toBe(404)
})
