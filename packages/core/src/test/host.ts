import type { Exit, Job, SnapshotKind } from '@gibil/contract'
import type { DriverSpec, SelfEnding } from '../ports/driver.ts'

export const exit = (exitCode: number | null, change: Partial<Exit> = {}): Exit => ({
  exitCode,
  signal: null,
  timedOut: false,
  durationMs: 5,
  ...change,
})

export interface HostJob {
  readonly job: Job
  output: string
  /** The box it is in has ended, or someone killed it. */
  readonly ended: PromiseWithResolvers<Exit>
}

/** One box as the host has it. `disk` is what stop keeps and destroy removes. */
export interface HostBox {
  readonly spec: DriverSpec
  status: 'running' | 'paused' | 'stopped' | 'partial'
  reason: string | undefined
  console: string | undefined
  asked?: SelfEnding | undefined
  readonly disk: Map<string, string>
  jobs: Map<string, HostJob>
  configured: { env?: Readonly<Record<string, string>>; user?: string; cwd?: string }
  starts: number
  /** Processor time that it has taken. */
  cpuMs: number
  /** How long each stop gave it. */
  readonly graces: number[]
  /** Snapshots by path. */
  mounts: Map<string, string>
}

/** A snapshot as the host has it. `whole`: the driver came to the end of making it. */
export interface HostSnapshot {
  readonly kind: SnapshotKind
  readonly image: string
  readonly disk: ReadonlyMap<string, string>
  readonly jobs: ReadonlyMap<string, HostJob>
  whole: boolean
}

/** What outlives the daemon: the boxes on this machine, and what commands in them do. */
export interface Host {
  readonly boxes: Map<string, HostBox>
  readonly snapshots: Map<string, HostSnapshot>
  /** What was ever run in any box, as `<id> <command line>`. */
  readonly ran: { readonly id: string; readonly line: string; readonly env: Readonly<Record<string, string>> }[]
  /** What a command does; the last match wins. */
  readonly commands: {
    readonly match: RegExp
    readonly act: (box: HostBox) => Promise<{ output: string; exit: Exit }>
  }[]
  /** Repositories by address: path to content. */
  readonly repos: Map<string, Readonly<Record<string, string>>>
  readonly ports: Set<number>
  /** What callers of drivers did that the port does not allow. */
  readonly violations: string[]
  endJobs(box: HostBox): void
}

export function createHost(): Host {
  return {
    boxes: new Map(),
    snapshots: new Map(),
    ran: [],
    commands: [],
    repos: new Map(),
    ports: new Set(),
    violations: [],
    endJobs(box) {
      for (const { ended } of box.jobs.values()) ended.resolve(exit(null, { signal: 'SIGKILL' }))
      box.jobs = new Map()
      box.mounts = new Map()
    },
  }
}
