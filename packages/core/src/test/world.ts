import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { openStore } from '@gibil/store'
import {
  type ControlPlane,
  type ControlPlaneDeps,
  createControlPlane,
  defaultPolicy,
  type Policy,
  type ResolvedImage,
  type SetupLog,
  type Store,
} from '../index.ts'
import { createFakeBoxd } from './fake-boxd.ts'
import { createFakeDriver, type FakeDriver } from './fake-driver.ts'
import { createHost, exit, type Host, type HostBox } from './host.ts'
import { createManualClock, type ManualClock } from './manual-clock.ts'
import { createMemorySessionFiles } from './memory-session-files.ts'
import { createMemoryVolumes } from './memory-volumes.ts'

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

export interface World {
  readonly clock: ManualClock
  readonly host: Host
  readonly store: Store
  readonly images: Map<string, ResolvedImage>
  readonly logs: Map<string, string>
  driver: FakeDriver
  plane: ControlPlane
  readonly policy: Partial<Policy>
  freeMemoryMib: number
  freeDiskMib: number
  deps(): ControlPlaneDeps
  /** A control plane that knows nothing but what store and host have, as after a crash of the one before. */
  restart(change?: Partial<ControlPlaneDeps>): Promise<ControlPlane>
  command(match: RegExp, exitCode: number | 'hangs', output?: string): void
  box(id: string): HostBox
  close(): Promise<void>
}

const image = (name: string, digest: string): ResolvedImage => ({
  name,
  digest,
  layers: ['/layer'],
  env: { FROM_IMAGE: '1' },
  workdir: null,
  user: 'agent',
})

/** The real domain on the real store, with a strict driver and a clock moved by hand. */
export function createWorld(
  policy: Partial<Policy> = {},
  { clock = createManualClock(), host = createHost() }: Partial<Pick<World, 'clock' | 'host'>> = {},
): World {
  const dir = mkdtempSync(join(tmpdir(), 'gibil-core-'))
  const store = openStore(join(dir, 'gibil.db'))
  const images = new Map([image('base', 'sha256:base'), image('other', 'sha256:other')].map((one) => [one.name, one]))
  const logs = new Map<string, string>()
  const setupLog: SetupLog = {
    async append(id, text) {
      logs.set(id, (logs.get(id) ?? '') + text)
    },
    async read(id, offset, limit) {
      const text = (logs.get(id) ?? '').slice(offset, offset + limit)
      return { text, nextOffset: offset + text.length }
    },
    async remove(id) {
      logs.delete(id)
    },
  }
  const sessionFiles = createMemorySessionFiles()
  const volumes = createMemoryVolumes()
  const world: World = {
    clock,
    host,
    store,
    images,
    logs,
    policy: { pool: { ...defaultPolicy.pool, most: 0 }, ...policy },
    freeMemoryMib: 4096,
    freeDiskMib: 10_000,
    driver: createFakeDriver(host),
    plane: undefined as unknown as ControlPlane,
    deps: () => ({
      store,
      drivers: [world.driver],
      images: {
        async resolve(ref) {
          const found = images.get(ref) ?? [...images.values()].find(({ digest }) => digest === ref)
          if (found) return found
          throw new GibilError('image_not_found', `There is no image "${ref}".`)
        },
        async saveTree() {
          throw new GibilError('internal', 'Trees are tested where boxes are real.')
        },
      },
      setupLog,
      sessionFiles,
      volumes,
      clock,
      random: (length) => randomBytes(length),
      digest: (text) => createHash('sha256').update(text).digest('hex'),
      connectBoxd: createFakeBoxd(host, clock),
      host: {
        cpus: 2,
        memoryMib: 4096,
        freeDiskMib: async () => world.freeDiskMib,
        freeMemoryMib: async () => world.freeMemoryMib,
      },
      log: silent,
      policy: world.policy,
    }),
    async restart(change = {}) {
      world.driver = createFakeDriver(host)
      world.plane = createControlPlane({ ...world.deps(), ...change })
      await clock.until(world.plane.start())
      await clock.until(world.plane.caughtUp())
      return world.plane
    },
    command(match, exitCode, output = '') {
      const act = async () => {
        if (exitCode === 'hangs') return new Promise<never>(() => undefined)
        return { output, exit: exit(exitCode) }
      }
      host.commands.push({ match, act })
    },
    box(id) {
      const found = host.boxes.get(id)
      if (!found) throw new Error(`${id} is not on the host`)
      return found
    },
    async close() {
      await clock.until(world.plane.stop()).catch(() => undefined)
      await store.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
  world.plane = createControlPlane(world.deps())
  return world
}

/** A world whose control plane has started. */
export async function startWorld(policy: Partial<Policy> = {}): Promise<World> {
  const world = createWorld(policy)
  await world.clock.until(world.plane.start())
  return world
}
