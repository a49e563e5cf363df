import type { Box, Event } from '@gibil/sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { full } from './support/full-form.ts'
import { makeHome, type TestHome } from './support/home.ts'
import { tracesOf } from './support/host-traces.ts'
import { makeProject } from './support/project.ts'

let home: TestHome

beforeAll(async () => {
  home = await makeHome()
  await start()
})
afterAll(() => home?.[Symbol.asyncDispose]())

const soon = { timeout: 30_000, interval: 200 }
/** The product promises a second; a test on a busy machine leaves it some more. */
const late = 3000
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))

async function start(): Promise<void> {
  const started = await home.startDaemon()
  expect(started.exitCode, started.stderr).toBe(0)
}
const must = async (...args: string[]): Promise<string> => {
  const result = await home.gibil(args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}`).toBe(0)
  return result.stdout
}
const create = async (name: string, ...flags: string[]): Promise<Box> =>
  JSON.parse(await must('create', '--name', name, '--json', ...flags))
const show = async (name: string): Promise<Box> => JSON.parse(await must('show', name, '--json'))
const isGone = async (name: string): Promise<boolean> => (await home.gibil(['show', name])).exitCode === 3
const eventsOf = async ({ id }: Box): Promise<Event[]> =>
  (await must('events', '--json'))
    .trim()
    .split('\n')
    .map((line): Event => JSON.parse(line))
    .filter(({ boxId }) => boxId === id)
const eventOf = async (box: Box, type: Event['type']): Promise<Event | undefined> =>
  (await eventsOf(box)).find((event) => event.type === type)
/** How long after the end of its lease a box was ended, in milliseconds. */
const lateness = async (box: Box): Promise<number> =>
  Date.parse((await eventOf(box, 'box.expired'))?.at ?? '') - Date.parse(box.lease.expiresAt ?? '')

describe.concurrent('the lease of a box', () => {
  it('ends it in time, after a warning, and leaves no trace', async ({ expect: check }) => {
    const box = await create('brief', '--ttl', '4s')
    check(box.lease).toMatchObject({ ttlSeconds: 4, onExpire: 'destroy' })
    await check.poll(() => isGone('brief'), soon).toBe(true)
    const types = (await eventsOf(box)).map(({ type }) => type)
    const order = ['box.created', 'box.running', 'box.expiring', 'box.expired', 'box.destroyed'] as const
    check(types.filter((type) => (order as readonly string[]).includes(type))).toEqual(order)
    check((await eventOf(box, 'box.expiring'))?.data).toMatchObject({ reason: 'ttl', at: box.lease.expiresAt })
    const after = await lateness(box)
    check(after).toBeGreaterThanOrEqual(0)
    check(after).toBeLessThan(late)
    check(await tracesOf(box.id)).toEqual([])
  })

  it.runIf(full)(
    'stops it with its disk kept where that was asked for; a start begins a new lease',
    async ({ expect: check }) => {
      const box = await create('stopper', '--ttl', '4s', '--on-expire', 'stop')
      await must('run', 'stopper', 'echo kept > file')
      await check.poll(async () => (await show('stopper')).status, soon).toBe('stopped')
      check(await lateness(box)).toBeLessThan(late)
      check((await show('stopper')).lease.expiresAt).toBeNull()
      await must('start', 'stopper')
      check((await show('stopper')).lease.expiresAt).not.toBeNull()
      await must('extend', 'stopper', '1h')
      check(await must('run', 'stopper', 'cat file')).toBe('kept\n')
      await must('destroy', 'stopper')
    },
  )

  it.runIf(full)('pauses it with its memory kept where that was asked for', async ({ expect: check }) => {
    const box = await create('pauser', '--ttl', '4s', '--on-expire', 'pause')
    const line = 'i=0; while :; do i=$((i + 1)); echo $i > counted; sleep 0.05; done'
    const job = (await must('run', 'pauser', '--detach', line)).trim()
    await check.poll(async () => (await show('pauser')).status, soon).toBe('paused')
    check(await lateness(box)).toBeLessThan(late)
    await must('resume', 'pauser')
    await must('extend', 'pauser', '1h')
    const before = Number(await must('run', 'pauser', 'cat counted'))
    await check.poll(async () => Number(await must('run', 'pauser', 'cat counted')), soon).toBeGreaterThan(before)
    check(await must('jobs', 'pauser', '--json')).toContain(job)
    await must('destroy', 'pauser')
  })

  it.runIf(full)('is extended, from now on', async ({ expect: check }) => {
    const box = await create('longer', '--ttl', '5s')
    await must('extend', 'longer', '2h')
    const { lease } = await show('longer')
    const left = Date.parse(lease.expiresAt ?? '') - Date.now()
    check(left).toBeGreaterThan(119 * 60_000)
    check(left).toBeLessThanOrEqual(120 * 60_000)
    await pause(Date.parse(box.lease.expiresAt ?? '') + 1500 - Date.now())
    check(await must('run', 'longer', 'echo lives')).toBe('lives\n')
    check(await eventOf(box, 'box.expired')).toBeUndefined()
    await must('extend', 'longer', '2s')
    await check.poll(() => isGone('longer'), soon).toBe(true)
  })

  it.runIf(full)(
    'with an idle limit ends it when nothing runs, and not while something does',
    async ({ expect: check }) => {
      const box = await create('lazy', '--ttl', '1h', '--idle', '3s', '--on-idle', 'destroy')
      await must('run', 'lazy', '--detach', 'sleep 7')
      await pause(5000)
      check((await show('lazy')).status).toBe('running')
      await check.poll(() => isGone('lazy'), soon).toBe(true)
      check((await eventOf(box, 'box.expired'))?.data).toMatchObject({ reason: 'idle', action: 'destroy' })
    },
  )

  it('runs beforeExpire, which has a deadline and cannot hold up the end', async ({ expect: check }) => {
    await using project = await makeProject(
      'hooks:\n  beforeExpire: { run: "echo saved > saved; sleep 1000; echo too late > late", timeout: 2s }\n',
    )
    const box = await create('hooked', '--repo', project.path, '--ttl', '8s', '--on-expire', 'stop')
    check(await must('run', 'hooked', 'ls')).not.toContain('saved')
    await check.poll(async () => (await show('hooked')).status, soon).toBe('stopped')
    check(await lateness(box)).toBeGreaterThanOrEqual(0)
    check(await lateness(box)).toBeLessThan(late)
    await must('start', 'hooked')
    await must('extend', 'hooked', '1h')
    check(await must('run', 'hooked', 'cat saved; ls')).toMatch(/^saved\n/)
    check(await must('run', 'hooked', 'ls')).not.toContain('late')
    await must('destroy', 'hooked')
  })
})

describe('the lease and the daemon', () => {
  it('ends at the next start what expired while no daemon ran', async () => {
    const [gone, halted, stays] = [
      await create('gone', '--ttl', '6s'),
      await create('halted', '--ttl', '6s', '--on-expire', 'stop'),
      await create('stays', '--ttl', '1h'),
    ]
    await must('down')
    await pause(Math.max(...[gone, halted].map(({ lease }) => Date.parse(lease.expiresAt ?? ''))) + 500 - Date.now())
    await start()
    await expect.poll(() => isGone('gone'), soon).toBe(true)
    await expect.poll(async () => (await show('halted')).status, soon).toBe('stopped')
    for (const box of [gone, halted]) expect((await eventOf(box, 'box.expired'))?.data).toMatchObject({ reason: 'ttl' })
    expect(await tracesOf(gone.id)).toEqual([])
    expect((await show('stays')).lease.expiresAt).toBe(stays.lease.expiresAt)
    await must('destroy', 'halted', 'stays')
  })

  it('goes on over a restart, also one after SIGKILL', async () => {
    const box = await create('over', '--ttl', '25s')
    await must('down')
    await start()
    const { pid } = JSON.parse(await must('version', '--json')).daemon
    process.kill(pid, 'SIGKILL')
    await start()
    expect((await show('over')).lease.expiresAt).toBe(box.lease.expiresAt)
    await expect.poll(() => isGone('over'), soon).toBe(true)
    const after = await lateness(box)
    expect(after).toBeGreaterThanOrEqual(0)
    expect(after).toBeLessThan(late)
    expect(await tracesOf(box.id)).toEqual([])
  })
})
