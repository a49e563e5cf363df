import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { steps } from '../packages/driver-hetzner/src/steps.ts'
import { type CloudHome, makeCloudHome } from './support/cloud/cloud-home.ts'
import { full } from './support/full-form.ts'

/**
 * A daemon that is killed at a step of the driver of Hetzner Cloud, and the next one. Only some are tried: those at which something is half there. All of them:
 * `GIBIL_FULL=1 npm test -- e2e test/killed-cloud.test.ts`.
 */
const some = ['create.addresses']
const chosen = (verb: keyof typeof steps): string[] => steps[verb].filter((step) => full || some.includes(step))

/** Only a stop to a snapshot comes to these. */
const ofSnapshots = ['stop.image', 'stop.server']

const slow = 300_000
const soon = { timeout: 120_000, interval: 250 }
/** Of the cheapest machine, with IPv4: each that was ever made costs an hour at least. */
const hourly = 0.0096

let cloud: CloudHome

const gibil = (...args: string[]) => cloud.home.gibil(args)
const must = async (...args: string[]): Promise<string> => {
  const result = await gibil(...args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}`).toBe(0)
  return result.stdout
}
const status = async (): Promise<string | undefined> => JSON.parse(await must('list', '--json'))[0]?.status
const create = () => gibil('create', '--provider', 'hetzner', '--name', 'victim', '--ttl', '1h')
const createVictim = async (): Promise<void> => {
  expect((await create()).stderr).toContain('is running')
  await must('run', 'victim', 'echo kept > file; sync')
}
async function daemonThatDiesAt(step: string): Promise<void> {
  await gibil('down')
  const started = await cloud.home.startDaemon({ GIBIL_FAILPOINT: step })
  expect(started.exitCode, started.stderr).toBe(0)
}
async function untilTheNextHas(wanted: string | undefined): Promise<void> {
  const started = await cloud.home.startDaemon()
  expect(started.exitCode, started.stderr).toBe(0)
  await expect.poll(status, soon).toBe(wanted)
}
/** What was billed from the beginning of a test on, by the simulator and by us, are the same machines. */
let paidBefore = 0
const madeServers = (): number => cloud.sim.state.project().charges.filter(({ kind }) => kind === 'server').length
let madeBefore = 0
async function hasPaidFor(servers: number): Promise<void> {
  expect(madeServers() - madeBefore).toBe(servers)
  expect((await paid()) - paidBefore).toBeCloseTo(servers * hourly, 6)
}
const paid = async (): Promise<number> => Number(JSON.parse(await must('cost', '--json')).currencies[0]?.total ?? 0)

const whole = { servers: 1, ssh_keys: 1, firewalls: 1, primary_ips: 2 }
async function destroyWithoutTrace(): Promise<void> {
  if ((await status()) !== undefined) await must('destroy', 'victim')
  expect(cloud.left()).toEqual({})
  expect(await readdir(join(cloud.home.path, 'hetzner/boxes')).catch(() => [])).toEqual([])
}

beforeAll(async () => {
  cloud = await makeCloudHome()
  await cloud.home.startDaemon()
}, slow)
afterEach(async () => {
  await cloud.home.startDaemon()
  await gibil('destroy', '--all', '--yes')
  await cloud.sim.settled()
})
afterAll(() => cloud?.[Symbol.asyncDispose](), slow)

const begin = async (): Promise<void> => {
  paidBefore = await paid()
  madeBefore = madeServers()
}

describe('the daemon killed with SIGKILL', { timeout: slow }, () => {
  it.each(chosen('create'))('at %s: the next one finishes the box on the server that is there', async (step) => {
    await begin()
    await daemonThatDiesAt(step)
    expect((await create()).exitCode).not.toBe(0)
    await untilTheNextHas('running')
    expect(await must('run', 'victim', 'echo whole')).toBe('whole\n')
    expect(cloud.left()).toEqual(whole)
    await hasPaidFor(1)
    await destroyWithoutTrace()
    await hasPaidFor(1)
  })

  it.each(chosen('stop').filter((step) => !ofSnapshots.includes(step)))(
    'at %s of a stop: the next one finishes it, and the machine is billed',
    async (step) => {
      await begin()
      await createVictim()
      await daemonThatDiesAt(step)
      expect((await gibil('stop', 'victim')).exitCode).not.toBe(0)
      await untilTheNextHas('stopped')
      expect(cloud.left()).toEqual(whole)
      await must('start', 'victim')
      expect(await must('run', 'victim', 'cat file')).toBe('kept\n')
      await hasPaidFor(1)
      await destroyWithoutTrace()
    },
  )

  it.each(chosen('stop'))('at %s of a stop to a snapshot: the disk is kept once, and nothing else', async (step) => {
    await begin()
    await createVictim()
    await daemonThatDiesAt(step)
    expect((await gibil('stop', 'victim', '--snapshot')).exitCode).not.toBe(0)
    await untilTheNextHas('stopped')
    await expect.poll(() => cloud.left(), soon).toEqual({ ssh_keys: 1, firewalls: 1, images: 1 })
    await expect.poll(async () => JSON.parse(await must('show', 'victim', '--json')).cost.billed, soon).toBe(false)
    await must('start', 'victim')
    expect(await must('run', 'victim', 'cat file')).toBe('kept\n')
    expect(cloud.left()).toEqual(whole)
    await hasPaidFor(2)
    await destroyWithoutTrace()
  })

  it.each(chosen('start'))('at %s: the next one starts the box on its disk', async (step) => {
    await begin()
    await createVictim()
    await must('stop', 'victim', '--snapshot')
    await daemonThatDiesAt(step)
    expect((await gibil('start', 'victim')).exitCode).not.toBe(0)
    await untilTheNextHas('running')
    expect(await must('run', 'victim', 'cat file')).toBe('kept\n')
    expect(cloud.left()).toEqual(whole)
    await hasPaidFor(2)
    await destroyWithoutTrace()
  })

  it.each(chosen('destroy'))('at %s: the next one finishes the destroy without a trace', async (step) => {
    await begin()
    await createVictim()
    await daemonThatDiesAt(step)
    expect((await gibil('destroy', 'victim')).exitCode).not.toBe(0)
    await untilTheNextHas(undefined)
    await destroyWithoutTrace()
    await hasPaidFor(1)
  })
})
