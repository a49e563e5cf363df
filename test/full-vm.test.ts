import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { namesFor } from '../packages/hetzner-sim/src/machines/links.ts'
import { provideCloudImages } from './support/cloud-image.ts'
import { makeHome, root, type TestHome } from './support/home.ts'
import { tracesOf } from './support/host-traces.ts'
import { makeProject, type Project } from './support/project.ts'
import { makePublicInternet, type PublicInternet, printed } from './support/public-internet.ts'
import { makeTinyImage } from './support/tiny-image.ts'

/**
 * What is promised of a full VM, on this machine and at Hetzner Cloud: the same tests for both. Behind the API of the simulator real machines boot, whose cloud-init takes its way for
 * Hetzner. A boot takes a minute or more where the processor is emulated, so the boxes of both are made side by side.
 */
const places = [
  { provider: 'local', flags: ['--shape', 'vm', '--cpu', '2', '--memory', '1G', '--disk', '6G'] },
  { provider: 'hetzner', flags: ['--provider', 'hetzner', '--max-hourly', '0.05'] },
] as const
type Place = (typeof places)[number]

const slow = 1_200_000

const gibilYml = `
services: [postgres, redis]
tasks:
  - psql -h localhost -U postgres -c "create table notes as select 'kept' as note"
  - redis-cli set greeting hello
ports: [5432]
`

let home: TestHome
let dir: string
let internet: PublicInternet
let project: Project
let repo: string
let cloud: Cloud
const created = new Map<string, Record<string, never>>()

beforeAll(async () => {
  home = await makeHome('vm')
  dir = await mkdtemp(join(tmpdir(), 'gibil-full-vm-'))
  const [images] = await Promise.all([provideCloudImages(home.path), serveProject()])
  cloud = await startCloud(images)
  const started = await home.startDaemon({ HCLOUD_ENDPOINT: cloud.url, HCLOUD_TOKEN: cloud.token })
  expect(started.exitCode, started.stderr).toBe(0)
  await Promise.all(places.map(forge))
}, slow)
afterAll(async () => {
  await home?.[Symbol.asyncDispose]()
  await cloud?.end()
  await internet?.[Symbol.asyncDispose]()
  await project?.[Symbol.asyncDispose]()
  if (dir) await rm(dir, { recursive: true, force: true })
}, slow)

async function serveProject(): Promise<void> {
  internet = await makePublicInternet()
  project = await makeProject(gibilYml)
  await execa('git', ['clone', '--quiet', '--bare', project.path, join(dir, 'served/project.git')])
  const script = join(import.meta.dirname, 'support/git-http-server.ts')
  await printed(internet.start([process.execPath, script, join(dir, 'served'), '80']), 'ready')
  repo = `http://${internet.address}/project.git`
}

async function forge({ provider, flags }: Place): Promise<void> {
  const result = await gibil('create', '--name', provider, ...flags, '--repo', repo, '--ttl', '90m', '--json')
  expect(result.exitCode, `${result.stderr}${result.stdout}`).toBe(0)
  created.set(provider, JSON.parse(result.stdout))
}

const gibil = (...args: string[]) => home.gibil(args, { env: { HOME: dir }, timeoutMs: slow })
const must = async (...args: string[]): Promise<string> => {
  const result = await gibil(...args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}${result.stdout}`).toBe(0)
  return result.stdout
}

describe.each(places)('a full vm of the provider $provider', { timeout: slow }, ({ provider }) => {
  const run = (line: string, user = 'agent'): Promise<string> =>
    must('run', provider, '--user', user, '--', 'bash', '-ec', line)

  it('is a machine of its own with the repository in it, for as long as was asked for', async () => {
    expect(created.get(provider)).toMatchObject({
      ...{ name: provider, shape: 'vm', provider, status: 'running', readiness: 'ready' },
      ...{ user: 'agent', lease: { ttlSeconds: 5400 }, ports: [5432] },
    })
    expect(await run('cd ~/project && git remote get-url origin && git status --short && ls package.json')).toBe(
      `${repo}\npackage.json\n`,
    )
    expect(await run('pwd; hostname; cat /proc/1/comm; uname -r', 'root')).toMatch(
      new RegExp(`^/root\\n${provider}\\nsystemd\\n.*-cloud-amd64\\n$`),
    )
  })

  it('is reached by OpenSSH, by a config that is included', async () => {
    expect(await must('ssh', provider, '--', 'id', '-un')).toBe('agent\n')
    await must('ssh-config', '--install')
    const config = join(dir, '.ssh/config')
    const { stdout } = await execa('ssh', ['-F', config, `${provider}.gibil`, 'hostname; sudo -n id -un'])
    expect(stdout).toBe(`${provider}\nroot`)
  })

  it('runs containers', async () => {
    await run(makeTinyImage())
    expect(await run('docker run --rm tiny cat /proc/net/route')).toMatch(/^eth0\s+00000000\s/m)
  })

  it('has PostgreSQL and Redis beside it, which its project asked for', async () => {
    expect(await run('psql -h localhost -U postgres -Atc "select note from notes"')).toBe('kept\n')
    expect(await run('redis-cli get greeting')).toBe('hello\n')
  })

  it('lives longer when it is told to', async () => {
    const before = Date.now()
    await must('extend', provider, '3h')
    const { lease } = JSON.parse(await must('show', provider, '--json'))
    const until = Date.parse(lease.expiresAt)
    expect(until).toBeGreaterThanOrEqual(before + 3 * 3_600_000)
    if (provider === 'local') return
    // Where others would end it: the labels, and the machine itself.
    expect(lease.deadlineAtProvider).toBe('same')
    const seconds = String(Math.ceil(until / 1000))
    const { servers } = await cloud.get('servers')
    expect(servers?.map(({ labels }) => labels['gibil/deadline'])).toEqual([seconds])
    expect(await run('cat /etc/gibil/deadline; systemctl is-active gibil-dead-man.timer')).toBe(`${seconds}\nactive\n`)
  })

  it('leaves nothing when it is destroyed', async () => {
    const { id } = created.get(provider) ?? {}
    await must('destroy', provider, '--yes')
    expect(await tracesOf(String(id))).toEqual([])
    expect(JSON.parse(await must('ls', '--json')).map(({ name }: { name: string }) => name)).not.toContain(provider)
    if (provider === 'local') return
    for (const kind of ['servers', 'ssh_keys', 'firewalls', 'primary_ips', 'volumes', 'images?type=snapshot']) {
      expect(await cloud.get(kind), kind).toMatchObject({ [kind.replace(/\?.*/, '')]: [] })
    }
    expect(await cloud.machines()).toEqual([])
  })
})

interface Cloud {
  readonly url: string
  readonly token: string
  get(path: string): Promise<Record<string, { labels: Record<string, string> }[]>>
  /** What is on this host of machines behind servers. */
  machines(): Promise<string[]>
  end(): Promise<void>
}

/** `gibil hetzner-sim` as a user runs it. */
async function startCloud(images: string): Promise<Cloud> {
  const state = join(dir, 'cloud')
  const child = spawn(join(root, 'gibil'), ['hetzner-sim', '--json', '--images', images, '--state', state], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(child.stdout, 'data')
  const { url, token } = JSON.parse(String(line))
  return {
    url,
    token,
    async get(path) {
      const answer = await fetch(`${url}/${path}`, { headers: { authorization: `Bearer ${token}` } })
      return JSON.parse(await answer.text())
    },
    async machines() {
      const { namespace, link } = namesFor(state).of(0)
      // All names of its machines begin so.
      const traces = await Promise.all(
        [join(state, 'machines'), namespace.slice(0, -1), link.slice(0, -1)].map(tracesOf),
      )
      return [...traces.flat(), ...(await readdir(join(state, 'machines')))]
    },
    async end() {
      child.kill('SIGTERM')
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}
