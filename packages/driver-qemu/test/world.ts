import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type BoxdClient, createBoxdClient } from '@gibil/boxd-client'
import type { Driver, DriverSpec } from '@gibil/core'
import { createHostKit, type HostKit } from '@gibil/hostkit-client'
import { boxSpec, leftovers, newHome, testRootfs, traces } from '../../driver-container/test/rig.ts'
import { createMicrovmDriver, type MachineDriverOptions } from '../src/driver.ts'

const root = resolve(import.meta.dirname, '../../..')
/** The guest's kernel, fetched once per machine. */
const cacheDir = '/var/tmp/gibil-test-driver-qemu-2'

/** A home with an open driver, and its end. */
export interface World {
  readonly home: string
  readonly driver: Driver
  readonly hostkit: HostKit
  readonly exits: string[]
  readonly logged: string[]
  spec(id: string, given?: Partial<DriverSpec>): DriverSpec
  boxd(id: string): BoxdClient
  /** What a command prints; throws when it fails. */
  run(id: string, command: string, user?: string): Promise<string>
  /** Another driver for the same home, as after a restart of the daemon. The first one is closed. */
  reopen(given?: Partial<MachineDriverOptions>): Promise<World>
  /** Destroys what is left, takes the home away, and returns what could not be removed. */
  end(): Promise<string[]>
}

export async function openWorld(given: Partial<MachineDriverOptions> = {}): Promise<World> {
  return openWorldAt(await newHome(), given)
}

async function openWorldAt(home: string, given: Partial<MachineDriverOptions>): Promise<World> {
  // Built by the set-up that `npm test` begins with.
  const binaries = { boxd: join(root, 'dist/boxd'), hostkit: join(root, 'dist/hostkit') }
  const rootfs = await testRootfs()
  const hostkit = createHostKit({ binary: binaries.hostkit })
  const logged: string[] = []
  const driver = createMicrovmDriver({
    home,
    boxdBinary: binaries.boxd,
    hostkitBinary: binaries.hostkit,
    hostkit,
    cacheDir,
    log: (level, message, facts) => void logged.push(`${level} ${message} ${JSON.stringify(facts)}`),
    ...given,
  })
  const exits: string[] = []
  await driver.open()
  driver.onExit((id) => exits.push(id))
  const close = async (): Promise<void> => {
    await driver.close()
    await hostkit.close()
  }
  const boxd = (id: string): BoxdClient => createBoxdClient((signal) => driver.dial(id, signal))
  const corner = join(home, 'microvm')
  return {
    home,
    driver,
    hostkit,
    exits,
    logged,
    // Small, so that it is frozen quickly.
    spec: (id, changes) => boxSpec(rootfs, id, { size: { cpu: 1, memoryMib: 256, diskMib: 512 }, ...changes }),
    boxd,
    async run(id, command, user = 'root') {
      const client = boxd(id)
      const { id: job } = await client.startJob({ argv: ['/bin/bash', '-c', command], user, cwd: '/' })
      for (let offset = 0, text = ''; ; ) {
        const output = await client.jobOutput(job, { offset, waitMs: 30_000 })
        text += output.chunks.map((chunk) => chunk.text).join('')
        offset = output.nextOffset
        if (output.exit?.exitCode === 0) return text
        if (output.exit) throw new Error(`${command}: ${output.exit.exitCode}: ${text}`)
      }
    },
    async reopen(changes = {}) {
      await close()
      return openWorldAt(home, { ...given, ...changes })
    },
    async end() {
      for (const box of await driver.list()) await driver.destroy(box.id)
      const left = await leftovers(corner)
      await close()
      if (left.length === 0) left.push(...(await traces(corner)))
      await rm(home, { recursive: true, force: true })
      return left
    },
  }
}
