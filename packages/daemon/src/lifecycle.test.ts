import { access, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DaemonFile, GibilError } from '@gibil/contract'
import { expect, test } from 'vitest'
import { createFakePlane } from '../test/support/fake-plane.ts'
import { startTestDaemon } from '../test/support/test-daemon.ts'
import { startDaemon } from './start-daemon.ts'

const gone = (path: string): Promise<boolean> =>
  access(path).then(
    () => false,
    () => true,
  )

test('a daemon says where it is, and takes its traces with it', async () => {
  await using test = await startTestDaemon(createFakePlane({}))
  const file = join(test.home, 'gibild.json')
  const content = DaemonFile.parse(JSON.parse(await readFile(file, 'utf8')))
  expect(content).toMatchObject({ pid: process.pid, url: test.daemon.url, socket: test.daemon.socketPath })
  for (const path of [file, test.daemon.socketPath, join(test.home, 'token')]) {
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  }
  expect(await test.call('POST', '/shutdown')).toMatchObject({ status: 204 })
  await test.daemon.stopped
  expect(await gone(file)).toBe(true)
  expect(await gone(test.daemon.socketPath)).toBe(true)
})

test('one home has one daemon, and the next one keeps token and port', async () => {
  await using first = await startTestDaemon(createFakePlane({}))
  const { token, url } = first.daemon
  await expect(startDaemon({ home: first.home, logLevel: 'silent' })).rejects.toMatchObject({ code: 'wrong_state' })
  const content = await readFile(join(first.home, 'gibild.json'), 'utf8')
  await first.daemon.stop()
  // As a daemon leaves it that was killed.
  await writeFile(join(first.home, 'gibild.json'), content)
  await writeFile(join(first.home, 'gibild.sock'), '')
  const second = await startTestDaemon(createFakePlane({}), { home: first.home })
  expect(second.daemon).toMatchObject({ token, url })
  expect(await second.call('GET', '/health')).toMatchObject({ json: { status: 'ok' } })
  await second.daemon.stop()
})

test('a home with a long name works', async () => {
  await using outer = await startTestDaemon(createFakePlane({}))
  const home = join(outer.home, 'h'.repeat(150))
  await using test = await startTestDaemon(createFakePlane({}), { home })
  try {
    expect(await test.call('GET', '/version')).toMatchObject({ json: { home } })
    expect(await gone(join(home, 'gibild.sock'))).toBe(false)
  } finally {
    await rm(dirname(test.daemon.socketPath))
  }
})

test('a port that is taken is an error, and nothing stays behind', async () => {
  await using first = await startTestDaemon(createFakePlane({}))
  const port = Number(new URL(first.daemon.url).port)
  const home = join(first.home, 'other')
  await expect(startTestDaemon(createFakePlane({}), { home, port })).rejects.toMatchObject({ code: 'host_unfit' })
  expect(await gone(join(home, 'gibild.json'))).toBe(true)
  await using again = await startTestDaemon(createFakePlane({}), { home })
  expect(await again.call('GET', '/health')).toMatchObject({ status: 200 })
})

test('while it starts it says so, and calls about boxes wait', async () => {
  const start = Promise.withResolvers<void>()
  await using test = await startTestDaemon(createFakePlane({ start: () => start.promise }))
  expect(await test.call('GET', '/health')).toMatchObject({ json: { status: 'starting' } })
  const boxes = test.call('GET', '/boxes')
  const early = await Promise.race([boxes, test.call('GET', '/version').then(() => 'still waiting')])
  expect(early).toBe('still waiting')
  start.resolve()
  expect(await boxes).toMatchObject({ status: 200, json: [] })
})

test('when its work cannot start it ends, and says why', async () => {
  const start = Promise.withResolvers<void>()
  await using test = await startTestDaemon(createFakePlane({ start: () => start.promise }))
  const boxes = test.call('GET', '/boxes')
  await test.call('GET', '/version')
  start.reject(new GibilError('disk_full', 'The store cannot be opened.'))
  expect(await boxes).toMatchObject({ status: 507 })
  await expect(test.daemon.stopped).rejects.toMatchObject({ code: 'disk_full' })
})

test('a stop lets running answers end and ends streams', async () => {
  const plane = createFakePlane({})
  await using test = await startTestDaemon(plane)
  const events = await test.open('GET', '/events')
  const ended = new Promise((resolve) => events.once('end', resolve).resume())
  const slow = test.call('POST', '/boxes', { body: { name: 'x', image: 'slow' } })
  await expect.poll(() => plane.waitingSignals.length).toBe(1)
  const stopped = test.daemon.stop()
  await ended
  plane.release()
  expect(await slow).toMatchObject({ status: 201 })
  await stopped
})
