import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Sim, startSim } from '../../../packages/hetzner-sim/src/start-sim.ts'
import { makeHome, type TestHome } from '../home.ts'
import { type ProcessMachines, processMachines } from './process-machines.ts'
import { makeSmallSystem } from './small-system.ts'

/** A home whose daemon makes boxes at a simulator of Hetzner Cloud, with machines that can be logged in to. */
export interface CloudHome extends AsyncDisposable {
  readonly home: TestHome
  readonly sim: Sim
  readonly machines: ProcessMachines
  /** What there is in the project that costs or counts: kinds with how many. Without an argument, of the project of the home. */
  left(project?: string): Record<string, number>
  /** The one server of the project. */
  server(): { readonly id: number }
}

/** `system`: of the machines; a small one is of a few megabytes, where all of a machine is carried about. */
export async function makeCloudHome(system: 'of this host' | 'small' = 'of this host'): Promise<CloudHome> {
  const dir = await mkdtemp(join(tmpdir(), 'gibil-cloud-'))
  const below = system === 'small' ? await mkdtemp(join(tmpdir(), 'gibil-system-')) : undefined
  if (below) await makeSmallSystem(below)
  const machines = await processMachines(dir, below)
  const tokens = [{ token: 'of-another-project', project: 'other' }]
  const sim = await startSim({ actionMs: 50, rateLimit: 360_000, machines, tokens })
  const home = await makeHome('no image', {
    HCLOUD_ENDPOINT: sim.url,
    HCLOUD_TOKEN: sim.token,
    HCLOUD_CONFIG: '/nonexistent/cli.toml',
  })
  return {
    home,
    sim,
    machines,
    left(project) {
      const { servers, ssh_keys, firewalls, primary_ips, volumes, images } = sim.state.project(project)
      const sizes = Object.entries({ servers, ssh_keys, firewalls, primary_ips, volumes, images })
      return Object.fromEntries(sizes.flatMap(([kind, { size }]) => (size === 0 ? [] : [[kind, size]])))
    },
    server() {
      const [server, ...others] = sim.state.project().servers.values()
      if (server === undefined || others.length > 0)
        throw new Error(`There are ${others.length + (server ? 1 : 0)} servers.`)
      return server
    },
    async [Symbol.asyncDispose]() {
      sim.faults.clear()
      await home[Symbol.asyncDispose]()
      await sim.close()
      for (const one of [dir, below]) if (one) await rm(one, { recursive: true, force: true })
    },
  }
}
