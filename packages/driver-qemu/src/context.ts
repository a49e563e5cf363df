import type { Cgroups, HomeNames, HomeNetwork, Log, RunTool, Slots } from '@gibil/host'
import type { HostKit, SavedMemory } from '@gibil/hostkit-client'
import type { Consoles } from './console.ts'
import type { FrozenStore } from './frozen-machine.ts'
import type { Guest } from './initrd.ts'
import type { MachineCgroups } from './machine-cgroups.ts'
import type { MachineModel } from './model.ts'
import type { Accelerator } from './qemu-args.ts'
import type { RootDisks } from './root-disk.ts'
import type { Step } from './steps.ts'

/** What machines are made of; found out, and where need be fetched, at the first create or start. */
export interface Machinery {
  readonly qemu: string
  readonly guest: Guest
  readonly accelerator: Accelerator
}

/** What the verbs of an opened driver work with. */
export interface Context {
  readonly model: MachineModel
  readonly names: HomeNames
  readonly hostkit: HostKit
  /** Path of the program that `hostkit` is, to be run for each machine. */
  readonly hostkitBinary: string
  /** Path of boxd for this host, which also fills disks with the trees of boxes. */
  readonly boxdBinary: string
  readonly cgroups: Cgroups
  readonly machineCgroups: MachineCgroups
  readonly network: HomeNetwork
  readonly slots: Slots
  readonly consoles: Consoles
  readonly disks: RootDisks
  readonly frozen: FrozenStore
  readonly machinery: () => Promise<Machinery>
  /** What was read of the memory of saved machines that many begin as, by the path of the file. */
  readonly read: Map<string, Promise<SavedMemory>>
  readonly run: RunTool
  readonly log: Log
  readonly step: Step
}
