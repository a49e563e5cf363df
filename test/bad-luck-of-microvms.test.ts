import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errorTable } from '@gibil/sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runDirOf } from './support/footprint.ts'
import { full } from './support/full-form.ts'
import { makeHome, type TestHome } from './support/home.ts'
import { tracesOf } from './support/host-traces.ts'

/** A guest boots in seconds, or in tens of them where the processor is emulated and the host is busy. */
const slow = 600_000
const soon = { timeout: 120_000, interval: 250 }

let home: TestHome
const must = async (...args: string[]): Promise<string> => {
  const result = await home.gibil(args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}${result.stdout}`).toBe(0)
  return result.stdout
}
const show = async (name: string) => JSON.parse(await must('show', name, '--json'))
const create = async (name: string, ...flags: string[]): Promise<string> => {
  const small = ['--shape', 'microvm', '--cpu', '1', '--memory', '256M', '--disk', '1G', '--ttl', '3h', '--json']
  return JSON.parse(await must('create', '--name', name, ...small, ...flags)).id
}
/** The process that is the machine of a box. */
const machineOf = async (id: string): Promise<number> =>
  Number(await readFile(join(runDirOf(join(home.path, 'microvm')), 'boxes', id, 'pid'), 'utf8'))
const eventsOf = async (id: string) =>
  (await must('events', '--json'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ boxId }) => boxId === id)
const crash = (name: string) => home.gibil(['run', name, '--user', 'root', 'echo c > /proc/sysrq-trigger'])

beforeAll(async () => {
  home = await makeHome()
  const started = await home.startDaemon()
  expect(started.exitCode, started.stderr).toBe(0)
}, slow)
afterAll(() => home?.[Symbol.asyncDispose](), slow)

describe('a microvm whose kernel panics', { timeout: slow }, () => {
  it('starts again on its disk, and the events have its last words', async () => {
    const id = await create('again')
    await must('run', 'again', 'echo kept > file; sync')
    const cut = await crash('again')
    expect(cut.exitCode).toBe(125)
    await expect.poll(async () => (await home.gibil(['run', 'again', 'cat file'])).stdout, soon).toBe('kept\n')
    const end = (await eventsOf(id)).find(({ type, data }) => type === 'box.stopped' && data.byItself === true)
    expect(end?.data.reason).toBe('its kernel panicked: sysrq triggered crash')
    expect(end?.data.console).toContain('Kernel panic - not syncing')
    await must('destroy', 'again')
    expect(await tracesOf(id)).toEqual([])
  })

  it.runIf(full)('stays as it is with --on-failure stop, shows why, and is restarted by its user', async () => {
    const id = await create('kept', '--on-failure', 'stop')
    await must('run', 'kept', 'echo kept > file; sync')
    await crash('kept')
    await expect.poll(async () => (await show('kept')).status, soon).toBe('failed')
    const { failure, onFailure } = await show('kept')
    expect(onFailure).toBe('stop')
    expect(failure).toMatchObject({ code: 'box_ended', message: expect.stringContaining('its kernel panicked') })
    expect(failure.log).toContain('Kernel panic - not syncing')
    expect(await must('logs', 'kept', '--console')).toContain('Kernel panic - not syncing')
    const refused = await home.gibil(['run', 'kept', 'true'])
    expect(refused.stderr).toContain('gibil restart kept')
    expect(JSON.parse(await must('restart', 'kept', '--keep-disk', '--json'))).toMatchObject({ id, status: 'running' })
    expect(await must('run', 'kept', 'cat file')).toBe('kept\n')
    await must('destroy', 'kept')
  })

  it('is gone with --on-failure destroy, and nothing is left', async () => {
    const id = await create('gone', '--on-failure', 'destroy')
    await crash('gone')
    await expect
      .poll(async () => (await home.gibil(['show', 'gone'])).exitCode, soon)
      .toBe(errorTable.box_not_found.exit)
    const end = (await eventsOf(id)).find(({ type }) => type === 'box.destroyed')
    expect(end?.data.failure).toMatchObject({ code: 'box_ended', log: expect.stringContaining('Kernel panic') })
    expect(await tracesOf(id)).toEqual([])
  })
})

describe('a microvm that hangs', { timeout: slow }, () => {
  it.runIf(full)('is shown so, and a restart ends it at once and keeps its disk, name, lease and address', async () => {
    const id = await create('hung', '--on-failure', 'stop')
    await must('run', 'hung', 'echo kept > file; sync')
    const before = await show('hung')
    process.kill(await machineOf(id), 'SIGSTOP')
    await expect.poll(async () => (await show('hung')).unresponsiveSince, soon).not.toBeNull()
    expect(await must('list')).toContain('running (unresponsive)')
    const after = JSON.parse(await must('restart', 'hung', '--json'))
    expect(after).toMatchObject({ id, name: 'hung', status: 'running', unresponsiveSince: null, failure: null })
    expect(after.lease).toEqual(before.lease)
    expect(after.address).toBe(before.address)
    expect(await must('run', 'hung', 'cat file')).toBe('kept\n')

    // Left alone it is ended, and then its policy holds.
    process.kill(await machineOf(id), 'SIGSTOP')
    await expect.poll(async () => (await show('hung')).status, soon).toBe('failed')
    expect((await show('hung')).failure.message).toMatch(/it hung: no answer for \d+ s/)
    expect((await eventsOf(id)).map(({ type }) => type)).toContain('box.unresponsive')
    await must('restart', 'hung')
    expect(await must('run', 'hung', 'cat file')).toBe('kept\n')
    await must('destroy', 'hung')
    expect(await tracesOf(id)).toEqual([])
  })
})

describe('a restart of a microvm', { timeout: slow }, () => {
  it.runIf(full)('works from running, paused and stopped, and on a new disk only when that is wished', async () => {
    const id = await create('r')
    await must('run', 'r', 'echo kept > file')
    await must('run', 'r', '--detach', 'sleep 1000')
    await must('restart', 'r')
    expect(await must('run', 'r', 'cat file; pgrep sleep | wc -l')).toBe('kept\n0\n')
    await must('pause', 'r')
    await must('restart', 'r')
    await must('stop', 'r')
    await must('restart', 'r', '--force')
    expect(await must('run', 'r', 'cat file')).toBe('kept\n')
    const refused = await home.gibil(['restart', 'r', '--fresh'])
    expect(refused.stderr).toContain('--yes')
    expect(JSON.parse(await must('restart', 'r', '--fresh', '--yes', '--json'))).toMatchObject({
      id,
      status: 'running',
    })
    expect((await home.gibil(['run', 'r', 'cat file'])).exitCode).toBe(1)
    await must('destroy', 'r')
    expect(await tracesOf(id)).toEqual([])
  })
})
