import { readFile } from 'node:fs/promises'
import type { Box, Event } from '@gibil/sdk'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { full } from './support/full-form.ts'
import { makeHome, type TestHome } from './support/home.ts'

let home: TestHome

beforeAll(async () => {
  home = await makeHome()
  const started = await home.startDaemon()
  expect(started.exitCode, started.stderr).toBe(0)
})
afterAll(() => home?.[Symbol.asyncDispose]())

const soon = { timeout: 60_000, interval: 300 }
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))
const must = async (...args: string[]): Promise<string> => {
  const result = await home.gibil(args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}`).toBe(0)
  return result.stdout
}
const show = async (name: string): Promise<Box> => JSON.parse(await must('show', name, '--json'))
const statusOf = async (name: string): Promise<Box['status']> => (await show(name)).status
const expiries = async (name: string): Promise<unknown[]> =>
  (await must('events', '--json'))
    .trim()
    .split('\n')
    .map((line): Event => JSON.parse(line))
    .filter(({ type, boxName }) => type === 'box.expired' && boxName === name)
    .map(({ data }) => data)

const server = 'nohup python3 -m http.server 8000 >/dev/null 2>&1 </dev/null &'
/** Ends by itself, should nobody end it. */
const work = "nohup timeout 60 sh -c 'while :; do :; done' >/dev/null 2>&1 </dev/null &"

it('sleeps when it is idle though it listens on a port, and wakes when it is used, by a command or a file', async () => {
  await must('create', '--name', 'listener', '--idle', '3s', '--ttl', '1h')
  await must('run', 'listener', '--', 'sh', '-c', server)
  await expect.poll(() => statusOf('listener'), soon).toBe('paused')
  expect(await expiries('listener')).toMatchObject([{ reason: 'idle', action: 'pause' }])
  expect(await show('listener')).toMatchObject({ awake: null, lease: { onIdle: 'pause', onExpire: 'destroy' } })

  const ask = 'curl -fsS --retry 20 --retry-connrefused localhost:8000/ | grep -c listing'
  expect((await must('run', 'listener', '--', 'sh', '-c', ask)).trim()).not.toBe('0')
  await expect.poll(() => statusOf('listener'), soon).toBe('paused')

  await must('cp', import.meta.filename, 'listener:copied')
  expect(await must('run', 'listener', '--', 'cat', 'copied')).toBe(await readFile(import.meta.filename, 'utf8'))
})

it.runIf(full)(
  'does not sleep while a process works that no command of ours is, says so, and sleeps after it',
  async () => {
    await must('create', '--name', 'worker', '--idle', '4s', '--ttl', '1h')
    await must('run', 'worker', '--', 'sh', '-c', work)
    await expect.poll(async () => (await show('worker')).awake?.because, soon).toEqual(['cpu'])
    await pause(10_000)
    expect(await show('worker')).toMatchObject({ status: 'running', awake: { because: ['cpu'], idleEndsAt: null } })
    expect(await must('show', 'worker')).toMatch(/awake +its processor is busy for \S+/)
    expect(await expiries('worker')).toEqual([])
    await must('run', 'worker', '--', 'pkill', 'timeout')
    await expect.poll(() => statusOf('worker'), soon).toBe('paused')
  },
)
