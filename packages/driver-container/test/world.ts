import { rm } from 'node:fs/promises'
import type { Driver, DriverSpec } from '@gibil/core'
import { createHostKit } from '@gibil/hostkit-client'
import { type ContainerDriverOptions, createContainerDriver } from '../src/driver.ts'
import { boxSpec, buildBinaries, leftovers, newHome, testRootfs, traces } from './rig.ts'

/** A home with an open driver, and its end. */
export interface World {
  readonly home: string
  readonly driver: Driver
  readonly exits: string[]
  spec(id: string, given?: Partial<DriverSpec>): DriverSpec
  /** Another driver for the same home, as after a restart of the daemon. The first one is closed. */
  reopen(given?: Partial<ContainerDriverOptions>): Promise<World>
  /** Destroys what is left, takes the home away, and returns what could not be removed. */
  end(): Promise<string[]>
}

export async function openWorld(given: Partial<ContainerDriverOptions> = {}): Promise<World> {
  return openWorldAt(await newHome(), given)
}

export async function openWorldAt(home: string, given: Partial<ContainerDriverOptions> = {}): Promise<World> {
  const binaries = await buildBinaries()
  const rootfs = await testRootfs()
  const hostkit = createHostKit({ binary: binaries.hostkit })
  const driver = createContainerDriver({ home, boxdBinary: binaries.boxd, hostkit, log: () => undefined, ...given })
  const exits: string[] = []
  await driver.open()
  driver.onExit((id) => exits.push(id))
  const close = async (): Promise<void> => {
    await driver.close()
    await hostkit.close()
  }
  return {
    home,
    driver,
    exits,
    spec: (id, changes) => boxSpec(rootfs, id, changes),
    async reopen(changes = {}) {
      await close()
      return openWorldAt(home, changes)
    },
    async end() {
      for (const box of await driver.list()) await driver.destroy(box.id)
      const left = await leftovers(home)
      await close()
      if (left.length === 0) left.push(...(await traces(home)))
      await rm(home, { recursive: true, force: true })
      return left
    },
  }
}

/** Waits until something holds, at most 20 s; the test fails when it never does. */
export async function eventually(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never came true: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
