import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { steps } from '../packages/driver-qemu/src/steps.ts'
import { full } from './support/full-form.ts'
import { makeHome, type TestHome } from './support/home.ts'
import { tracesOf } from './support/host-traces.ts'

/**
 * A daemon that is killed at a step of the driver of microvms. Each takes a boot or two, so that only some are tried: those at which a machine is half
 * there. All of them: `GIBIL_FULL=1 npm test -- e2e test/killed-microvms.test.ts`.
 */
const some = ['create.identity', 'destroy.relay']
const chosen = (verb: keyof typeof steps): string[] => steps[verb].filter((step) => full || some.includes(step))

const slow = 600_000
const soon = { timeout: 240_000, interval: 250 }
type Listed = { readonly id: string; readonly name: string; readonly status: string }

let home: TestHome
let bystander: string

const must = async (...args: string[]): Promise<string> => {
  const result = await home.gibil(args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}`).toBe(0)
  return result.stdout
}
const list = async (): Promise<Listed[]> => JSON.parse(await must('list', '--json'))
const create = (name: string) => {
  const small = ['--shape', 'microvm', '--cpu', '1', '--memory', '256M', '--disk', '1G', '--ttl', '3h', '--json']
  return home.gibil(['create', '--name', name, ...small])
}
const createVictim = async (): Promise<string> => {
  const { id } = JSON.parse((await create('victim')).stdout)
  await must('run', 'victim', 'echo kept > file; sync')
  return id
}
async function daemonThatDiesAt(step: string): Promise<void> {
  await home.gibil(['down'])
  const started = await home.startDaemon({ GIBIL_FAILPOINT: step })
  expect(started.exitCode, started.stderr).toBe(0)
}
/** A new daemon, once every box is as it should be. */
async function afterTheNextStart(victim: string | undefined): Promise<void> {
  const started = await home.startDaemon()
  expect(started.exitCode, started.stderr).toBe(0)
  const wanted = ['bystander running', ...(victim ? [`victim ${victim}`] : [])]
  await expect.poll(async () => (await list()).map(({ name, status }) => `${name} ${status}`), soon).toEqual(wanted)
}
async function nothingIsLeftOf(id: string): Promise<void> {
  expect(await tracesOf(id)).toEqual([])
  expect(await readdir(join(home.path, 'microvm/boxes'))).toEqual([bystander])
  expect(await must('run', 'bystander', 'pgrep -f "ticking forever" | wc -l')).not.toBe('0\n')
}

beforeAll(async () => {
  home = await makeHome()
  await home.startDaemon()
  bystander = JSON.parse((await create('bystander')).stdout).id
  await must('run', 'bystander', '--detach', ': ticking forever; while sleep 1; do :; done')
}, slow)
afterAll(() => home?.[Symbol.asyncDispose](), slow)

describe('the daemon killed with SIGKILL', { timeout: slow }, () => {
  it.each(chosen('create'))('at %s: the next one finishes the microvm or removes it', async (step) => {
    await daemonThatDiesAt(step)
    expect((await create('victim')).exitCode).not.toBe(0)
    await home.startDaemon()
    await expect.poll(async () => (await list()).every(({ status }) => status === 'running'), soon).toBe(true)
    const victim = (await list()).find(({ name }) => name === 'victim')
    if (victim) {
      expect(await must('run', 'victim', 'echo whole')).toBe('whole\n')
      await must('destroy', 'victim')
    }
    await nothingIsLeftOf(victim?.id ?? 'victim')
  })

  it.each(chosen('start'))('at %s: the next one starts the microvm on its disk', async (step) => {
    await home.startDaemon()
    const id = await createVictim()
    await must('stop', 'victim')
    await daemonThatDiesAt(step)
    expect((await home.gibil(['start', 'victim'])).exitCode).not.toBe(0)
    await afterTheNextStart('running')
    expect(await must('run', 'victim', 'cat file')).toBe('kept\n')
    await must('destroy', 'victim')
    await nothingIsLeftOf(id)
  })

  it.each(chosen('stop'))('at %s: the next one stops the microvm, and its disk is whole', async (step) => {
    await home.startDaemon()
    const id = await createVictim()
    await daemonThatDiesAt(step)
    expect((await home.gibil(['stop', 'victim'])).exitCode).not.toBe(0)
    await afterTheNextStart('stopped')
    expect((await tracesOf(id)).filter((line) => line.startsWith('process'))).toEqual([])
    await must('start', 'victim')
    expect(await must('run', 'victim', 'cat file')).toBe('kept\n')
    await must('destroy', 'victim')
    await nothingIsLeftOf(id)
  })

  it.each(chosen('stop'))('at %s of a restart: the next one finishes that', async (step) => {
    await home.startDaemon()
    const id = await createVictim()
    await daemonThatDiesAt(step)
    expect((await home.gibil(['restart', 'victim', '--force'])).exitCode).not.toBe(0)
    await afterTheNextStart('running')
    expect(await must('run', 'victim', 'cat file')).toBe('kept\n')
    await must('destroy', 'victim')
    await nothingIsLeftOf(id)
  })

  it.each(chosen('destroy'))('at %s: the next one finishes the destroy without a trace', async (step) => {
    await home.startDaemon()
    const id = await createVictim()
    await daemonThatDiesAt(step)
    expect((await home.gibil(['destroy', 'victim'])).exitCode).not.toBe(0)
    await afterTheNextStart(undefined)
    await nothingIsLeftOf(id)
  })
})
