import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { qemuMachines } from '../packages/hetzner-sim/src/machines/qemu.ts'
import { type Sim, startSim } from '../packages/hetzner-sim/src/start-sim.ts'
import { ask } from '../packages/hetzner-sim/src/testing/client.ts'
import { provideCloudImages } from './support/cloud-image.ts'
import { full } from './support/full-form.ts'
import { makeHome, type TestHome } from './support/home.ts'
import { checksumOf, oddAttributesIn, oddFilesIn } from './support/odd-tree.ts'
import { makeSmallImage } from './support/small-image.ts'

/**
 * One box that becomes every shape there is, one after the other: a container of runc, machines that boot here, and one behind the API of the simulator, whose cloud-init takes its way
 * for Hetzner. What was put in it at first is the same at every stop. Long where the processor is emulated.
 */
const slow = 1_800_000

/** Where users have files of their own. */
const places = ['home/agent/work', 'srv/work', 'opt/work']

interface Stop {
  readonly shape: 'container' | 'microvm' | 'vm'
  readonly provider: 'local' | 'hetzner'
  readonly flags: readonly string[]
}

const local = (shape: Stop['shape'], ...size: readonly string[]): Stop => {
  const [cpu = '', memory = '', disk = ''] = size
  return { shape, provider: 'local', flags: ['--shape', shape, '--cpu', cpu, '--memory', memory, '--disk', disk] }
}
const hetzner: Stop = { shape: 'vm', provider: 'hetzner', flags: ['--provider', 'hetzner', '--size', 'small'] }
const vm = local('vm', '2', '1G', '6G')
const container = local('container', '1', '512M', '4G')

let dir: string
let home: TestHome
let sim: Sim

beforeAll(async () => {
  if (!full) return
  dir = await mkdtemp(join(tmpdir(), 'gibil-chain-'))
  home = await makeHome('vm')
  sim = await startSim({ machines: qemuMachines({ dir, images: await provideCloudImages(home.path) }) })
  const started = await home.startDaemon({ HCLOUD_ENDPOINT: sim.url, HCLOUD_TOKEN: sim.token })
  expect(started.exitCode, started.stderr).toBe(0)
  await makeSmallImage(home, 'small')
}, slow)
afterAll(async () => {
  await home?.[Symbol.asyncDispose]()
  if (sim) {
    for (const id of sim.state.project().servers.keys()) await ask(sim, 'DELETE', `/servers/${id}`)
    await sim.settled()
    await sim.close()
  }
  if (dir) await rm(dir, { recursive: true, force: true })
}, slow)

const must = async (...args: string[]): Promise<string> => {
  const result = await home.gibil(args, { timeoutMs: slow })
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}${result.stdout}`).toBe(0)
  return result.stdout
}
const show = async () => JSON.parse(await must('show', 'odd', '--json'))
const inside = (line: string): Promise<string> => must('run', 'odd', '--user', 'root', '--', 'sh', '-ec', line)

/** What of a box is the same wherever it is. */
async function kept(): Promise<Record<string, unknown>> {
  const { id, name, labels, envNames, published, lease, createdAt, network, user } = await show()
  const { ttlSeconds, expiresAt, idleSeconds, onExpire } = lease
  const files = await inside(checksumOf(...places))
  return {
    id,
    name,
    labels,
    envNames,
    published,
    ttlSeconds,
    expiresAt,
    idleSeconds,
    onExpire,
    createdAt,
    network,
    user,
    files,
  }
}

/**
 * What it has of the systems that it passes and that nothing here needs goes, as a user may have it: each byte is read, sent and written by a processor that is emulated. A third is left.
 */
const withoutBallast = `cd /usr; rm -rf lib/gcc lib/postgresql include share/doc share/i18n share/perl local/bin/node local/lib/node_modules
rm -f lib/x86_64-linux-gnu/libLLVM* lib/x86_64-linux-gnu/libz3* bin/*lto-dump* bin/containerd* bin/ctr bin/docker bin/dnet sbin/dockerd
rm -rf /var/lib/postgresql /var/lib/apt/lists /var/cache/apt`

async function makeOdd(): Promise<string> {
  const made = ['--name', 'odd', '--shape', 'container', '--disk', '1G', '--ttl', '3h']
  await must('create', '--image', 'small', ...made, '--env', 'WORD=kept', '--label', 'team=a')
  for (const place of places) await inside(`${oddFilesIn(`/${place}`)}\n${oddAttributesIn(`/${place}`)}`)
  return (await must('publish', 'odd', '8080')).trim()
}

async function carryTo(stops: readonly Stop[]): Promise<void> {
  const before = await kept()
  for (const { shape, provider, flags } of stops) {
    const moved = JSON.parse(await must('move', 'odd', ...flags, '--yes', '--json'))
    expect(moved).toMatchObject({ changed: [], box: { shape, provider, status: 'running' } })
    expect(await kept(), `as a ${shape} of ${provider}`).toEqual(before)
    expect(await inside('echo $WORD; stat -c %b /srv/work/sparse; stat -c %i /srv/work/file /srv/work/same')).toMatch(
      /^kept\n\d{1,4}\n(\d+)\n\1\n$/,
    )
    if (shape === 'vm') await inside(withoutBallast)
  }
}

/** What was somewhere on the way has gone from there. */
async function expectNothingLeft(): Promise<void> {
  expect(await readdir(join(home.path, 'microvm/boxes'))).toEqual([])
  expect(await readdir(join(home.path, 'vm/boxes'))).toEqual([])
  await sim.settled()
  for (const kind of ['servers', 'ssh_keys', 'firewalls', 'primary_ips', 'volumes'] as const) {
    expect([...sim.state.project()[kind].values()], kind).toEqual([])
  }
}

describe.runIf(full)('a box that is carried from shape to shape', { timeout: slow }, () => {
  afterEach(async () => void (await home.gibil(['destroy', 'odd', '--yes'])), slow)

  it('is a container, a microvm, a vm, a vm of a cloud and a container again, with the same files', async () => {
    const link = await makeOdd()
    const { lease } = await show()
    await carryTo([local('microvm', '1', '256M', '1G'), vm, hetzner, container])
    // A cloud pauses nothing; here it is paused again when it is idle.
    expect((await show()).lease).toEqual(lease)
    await expectNothingLeft()

    // The system of the machines is in it now, and the link of the first day leads to what it serves.
    await must('run', 'odd', '--detach', '--', 'python3', '-m', 'http.server', '8080', '--directory', '/srv/work')
    const visit = ['--silent', '--fail', '--location', '--cookie', '', link.replace('/?', '/file?')]
    await expect.poll(async () => (await execa('curl', visit, { reject: false })).stdout).toBe('hello')
    const files = await inside(checksumOf(...places))
    await must('stop', 'odd')
    await must('start', 'odd')
    expect(await inside(checksumOf(...places))).toBe(files)
  })

  it('is a vm, a microvm with the system of that, a vm again and a container', async () => {
    await makeOdd()
    await carryTo([vm, local('microvm', '1', '1G', '6G'), vm, container])
    await expectNothingLeft()
  })
})
