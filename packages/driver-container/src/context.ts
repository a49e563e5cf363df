import type { Cgroups, HomeNames, HomeNetwork, Log, RunTool, Slots } from '@gibil/host'
import type { HostKit } from '@gibil/hostkit-client'
import type { Step } from './steps.ts'
import type { DiskTemplates } from './templates.ts'

/** What the verbs of an opened driver work with. */
export interface Context {
  readonly names: HomeNames
  readonly hostkit: HostKit
  readonly cgroups: Cgroups
  readonly network: HomeNetwork
  readonly slots: Slots
  readonly templates: DiskTemplates
  /** Path of the OCI runtime that works here. */
  readonly runtime: string
  /** Path of a runsc that works here, looked for at the first box that needs it. Throws `missing_tool`, `host_unfit`. */
  readonly gvisor: () => Promise<string>
  readonly boxdBinary: string
  /** Processes and threads that a box may have, whatever its size. */
  readonly pidsLimit: number | undefined
  /** The daemon's own limit of open files. */
  readonly openFiles: number
  readonly run: RunTool
  readonly log: Log
  readonly step: Step
}
