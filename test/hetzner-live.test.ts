/**
 * Gibil against a project at Hetzner Cloud, by the CLI as a user has it: with GIBIL_LIVE=1 and a token in HCLOUD_TOKEN against Hetzner's own, which costs a few cents (docs/hetzner.md),
 * else as far as no machine is needed against the simulator. Whatever happens, nothing of what was made is left.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Sim, startSim } from '@gibil/hetzner-sim'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createHetznerDriver, hetznerEndpoint } from '../packages/driver-hetzner/src/index.ts'
import { root } from './support/home.ts'

const live = process.env['GIBIL_LIVE'] === '1'
/** Of the machine with its address, net, in euros: that of the second cheapest line of products, since the cheapest is often sold out. */
const maxHourly = process.env['GIBIL_LIVE_MAX_HOURLY'] ?? '0.04'
const maxCost = '0.10'
const mostMs = 1_200_000

let sim: Sim | undefined
let token = process.env['HCLOUD_TOKEN'] ?? ''
let endpoint = hetznerEndpoint(process.env)
const homes: string[] = []

interface Run {
  readonly exitCode: number | undefined
  readonly stdout: string
  readonly stderr: string
}

async function gibil(home: string, args: readonly string[], input = ''): Promise<Run> {
  const env = { GIBIL_HOME: home, GIBIL_POOL: '0', NO_COLOR: '1', HCLOUD_ENDPOINT: endpoint, HCLOUD_TOKEN: '' }
  const { exitCode, stdout, stderr } = await execa(join(root, 'gibil'), args, { env, input, reject: false })
  expect(`${stdout}${stderr}`).not.toContain(token)
  return { exitCode, stdout, stderr }
}
async function must(home: string, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await gibil(home, args)
  expect(exitCode, `gibil ${args.join(' ')}: ${stderr}`).toBe(0)
  return stdout
}
const refusal = async (home: string, ...args: string[]): Promise<unknown> =>
  JSON.parse((await gibil(home, [...args, '--json'])).stdout)

async function openHome(): Promise<string> {
  const home = await mkdtemp('/var/tmp/gibil-live-')
  homes.push(home)
  await must(home, 'up', '--daemon-only')
  const init = await gibil(home, ['init', '--hcloud-token', '-'], token)
  expect(init.exitCode, init.stderr).toBe(0)
  return home
}

/** With the token of the test and nothing of a daemon, so that it works whatever has become of one. */
async function sweepHome(home: string): Promise<readonly string[]> {
  const driver = createHetznerDriver({
    home,
    token: () => token,
    endpoint,
    log: () => undefined,
    openLink: () => {
      throw new Error('nothing is dialled here')
    },
  })
  await driver.open()
  try {
    for (const { id } of await driver.list()) await driver.destroy(id)
    return (await driver.list()).map(({ id }) => id)
  } finally {
    await driver.close()
  }
}

/** Names of things in the project whose labels name a box. */
async function thingsOf(id: string): Promise<string[]> {
  const found: string[] = []
  for (const kind of ['servers', 'primary_ips', 'firewalls', 'ssh_keys', 'images', 'volumes']) {
    const url = `${endpoint}/${kind}?label_selector=${encodeURIComponent(`gibil/box-id=${id}`)}`
    const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } })
    const body = (await answer.json()) as Record<string, { name: string | null; id: number }[]>
    found.push(...(body[kind] ?? []).map((thing) => `${kind} ${thing.name ?? thing.id}`))
  }
  return found
}

beforeAll(async () => {
  if (live) {
    if (token === '') throw new Error('GIBIL_LIVE=1 needs HCLOUD_TOKEN, of a project that is only for tests.')
    return
  }
  sim = await startSim({ actionMs: 5 })
  token = sim.token
  endpoint = sim.url
})
afterAll(async () => {
  const left: string[] = []
  for (const home of homes) {
    await gibil(home, ['destroy', '--all', '--yes']).catch(() => undefined)
    await gibil(home, ['down']).catch(() => undefined)
    left.push(...(await sweepHome(home).catch((error) => [String(error)])))
    await rm(home, { recursive: true, force: true })
  }
  await sim?.close()
  expect(left, 'still in the project, and billed: see its console').toEqual([])
}, mostMs)

const asked = ['--provider', 'hetzner', '--ttl', '15m', '--max-hourly', maxHourly, '--max-cost', maxCost]

test('a machine is taken within price and budget or not at all, and one that is given up while it boots leaves nothing', {
  timeout: mostMs,
}, async () => {
  const home = await openHome()
  expect(await refusal(home, 'create', ...asked, '--max-hourly', '0.0001')).toMatchObject({
    error: { code: 'over_price_cap' },
  })
  expect(await refusal(home, 'create', ...asked, '--max-cost', '0.0001')).toMatchObject({
    error: { code: 'over_budget' },
  })
  await must(home, 'config', 'set', 'budget.daily', '0.0001')
  expect(await refusal(home, 'create', ...asked)).toMatchObject({ error: { code: 'over_budget' } })
  await must(home, 'config', 'unset', 'budget.daily')
  expect(await must(home, 'list', '-q')).toBe('')

  const { id } = JSON.parse(await must(home, 'create', '--name', 'brief', ...asked, '--wait', 'created', '--json'))
  await expect.poll(() => thingsOf(id), { timeout: 120_000 }).toContainEqual(`servers gibil-${id}`)
  const other = await openHome()
  const [found] = JSON.parse(await must(other, 'adopt', '--json')).filter((box: { id: string }) => box.id === id)
  expect(found).toMatchObject({ id, name: 'brief', reachable: true, cloud: { arch: 'x86' } })
  await must(home, 'destroy', 'brief')
  expect(await thingsOf(id)).toEqual([])
  expect(JSON.parse(await must(other, 'image', 'list', '--provider', 'hetzner', '--json'))).toEqual(expect.any(Array))
})

describe.runIf(live)('a real machine', () => {
  test('is made, worked in, adopted by another home, and gone without a trace', { timeout: mostMs }, async () => {
    const home = await openHome()
    const box = JSON.parse(await must(home, 'create', '--name', 'live', ...asked, '--trace', '--json'))
    process.stderr.write(`live: ${JSON.stringify({ cloud: box.cloud, timings: box.timings, cost: box.cost })}\n`)
    expect(box).toMatchObject({ status: 'running', cost: { billed: true } })
    expect(await must(home, 'run', 'live', '--', 'id', '-un')).toBe('agent\n')
    expect(await must(home, 'run', 'live', '--user', 'root', '--', 'docker', 'info')).toContain('Server Version')
    expect(await must(home, 'ssh', 'live', '--', 'cat', '/sys/class/dmi/id/sys_vendor')).toBe('Hetzner\n')
    // What the machine was told is printed, and `gibil` above looks for the token in all that is printed.
    await must(home, 'run', 'live', '--user', 'root', '--', 'cat', '/var/lib/cloud/instance/user-data.txt')
    await must(home, 'extend', 'live', '20m')
    expect(JSON.parse(await must(home, 'show', 'live', '--json')).lease.deadlineAtProvider).toBe('same')

    const other = await openHome()
    await must(other, 'adopt', box.id)
    expect(await must(other, 'run', 'live', '--', 'id', '-un')).toBe('agent\n')
    await must(other, 'destroy', 'live')
    expect(await thingsOf(box.id)).toEqual([])
    expect(JSON.parse(await must(other, 'cost', '--json')).currencies[0].boxes).toMatchObject([{ id: box.id }])
  })
})
