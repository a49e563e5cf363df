import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { GibilError, sizePresets } from '@gibil/contract'
import type { DriverSpec } from '@gibil/core'
import { type Sim, type SimOptions, startSim } from '@gibil/hetzner-sim'
import { createHetznerDriver, type HetznerDriver, type HetznerDriverOptions, type LinkTarget } from '../../src/index.ts'
import { fastPace } from '../../src/testing/fast-pace.ts'

/** The simulator without machines, and drivers of homes of their own against it. */
export interface TestCloud extends AsyncDisposable {
  readonly sim: Sim
  /** A driver with a home that is empty, as on another machine. */
  openDriver(options?: Partial<HetznerDriverOptions>): Promise<HetznerDriver>
  /** That of the driver before, for one that comes after it on the same machine. */
  lastHome(): string
  /** What was dialled, and with which keys. */
  readonly dialled: readonly LinkTarget[]
  /** Commands that were run in boxes. */
  readonly commands: readonly string[]
  /** How cloud-init ends in each box from now on: the lines that it prints, and its status. */
  cloudInit: { lines: readonly string[]; status: number }
  /** What there is in the project that costs or counts: kinds with their names. */
  left(): string[]
}

export async function openCloud(options: SimOptions = {}): Promise<TestCloud> {
  const sim = await startSim({ actionMs: 5, ...options })
  const homes: string[] = []
  const drivers: HetznerDriver[] = []
  const dialled: LinkTarget[] = []
  const commands: string[] = []

  const cloud: TestCloud = {
    sim,
    dialled,
    commands,
    cloudInit: { lines: ['installing docker.io'], status: 0 },
    async openDriver(given = {}) {
      const home = await mkdtemp(join(tmpdir(), 'gibil-hetzner-'))
      homes.push(home)
      const driver = createHetznerDriver({
        home,
        token: () => sim.token,
        endpoint: sim.url,
        pace: fastPace(),
        log: () => undefined,
        openLink: (target) => {
          dialled.push(target)
          return linkTo(cloud, target, commands)
        },
        ...given,
      })
      await driver.open()
      drivers.push(driver)
      return driver
    },
    lastHome: () => homes.at(-1) ?? '',
    left() {
      const { servers, ssh_keys, firewalls, primary_ips, volumes, images } = sim.state.project()
      return Object.entries({ servers, ssh_keys, firewalls, primary_ips, volumes, images }).flatMap(([kind, things]) =>
        [...things.values()].map(({ name, id }) => `${kind} ${name ?? id}`),
      )
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(drivers.map((driver) => driver.close()))
      await sim.close()
      for (const home of homes) await rm(home, { recursive: true })
    },
  }
  return cloud
}

/** As the machine of that address would answer: it admits the key that its user data names, and shows the host key in it. */
function linkTo(
  cloud: TestCloud,
  { id, host, hostKey }: LinkTarget,
  commands: string[],
): ReturnType<HetznerDriverOptions['openLink']> {
  const check = (): void => {
    const { servers, primary_ips } = cloud.sim.state.project()
    const server = [...servers.values()].find((one) =>
      [...primary_ips.values()].some((ip) => ip.assignee_id === one.id && ip.ip === host),
    )
    if (server?.status !== 'running') throw new GibilError('boxd_unreachable', `Nobody is at ${host}.`)
    if (!(server.user_data ?? '').includes(hostKey.split(' ')[1] ?? '?')) {
      throw new GibilError('host_key_mismatch', `The machine at ${host} is not box ${id}.`)
    }
  }
  return {
    async connected() {
      check()
    },
    async dial() {
      check()
      return new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    },
    async execLines(command, onLine) {
      check()
      commands.push(command)
      if (!command.includes('cloud-init status')) return 0
      for (const line of cloud.cloudInit.lines) onLine(line)
      return cloud.cloudInit.status
    },
    close: () => undefined,
  }
}

let made = 0

/** As core would give it for `gibil create`. */
export function specOf(changes: Partial<DriverSpec> = {}): DriverSpec {
  made += 1
  const id = `bx${String.fromCharCode(97 + (made % 26)).repeat(12)}`
  return {
    id,
    hostname: 'work',
    name: 'work',
    owner: 'ada',
    image: { name: 'vm', digest: 'vm', layers: [], env: {}, workdir: null, user: null },
    size: sizePresets.small,
    network: 'internet',
    isolation: 'namespaces',
    labels: {},
    deadline: Math.floor(Date.now() / 1000) + 3600,
    ...changes,
  }
}
