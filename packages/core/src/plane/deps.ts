import type { HostSize } from '../box/sizes.ts'
import type { DemandPolicy } from '../pool/demand.ts'
import type { ConnectBoxd } from '../ports/boxd.ts'
import type { Clock } from '../ports/clock.ts'
import type { Digest } from '../ports/digest.ts'
import type { Driver } from '../ports/driver.ts'
import type { ImageSource } from '../ports/images.ts'
import type { Log } from '../ports/log.ts'
import type { RandomBytes } from '../ports/random.ts'
import type { SessionFiles } from '../ports/session-files.ts'
import type { SetupLog } from '../ports/setup-log.ts'
import type { Store } from '../ports/store.ts'
import type { VolumeStore } from '../ports/volumes.ts'

/** How much at once, and how long. Times in milliseconds. */
export interface Policy {
  readonly maxConcurrentCreates: number
  /** Creates that may wait for their turn. One owner has at most as many of these places as are free, and gets `busy` then. */
  readonly queueLimit: number
  /** Boxes kept at once; one more is refused with `limit_reached`. */
  readonly maxBoxes: number
  /** Snapshots kept at once. */
  readonly maxSnapshots: number
  /** Volumes kept at once. */
  readonly maxVolumes: number
  readonly defaultImage: string
  /** The same for a microvm in which Docker is to run. */
  readonly dockerImage: string
  /** The same for a vm, whose image has to bring its own system. */
  readonly vmImage: string
  /** The image of the preset `managed`. */
  readonly workstationImage: string
  /** Between two looks at everything. */
  readonly reconcileEveryMs: number
  /** What commands in a box get between SIGTERM and SIGKILL when it is stopped. */
  readonly stopGraceMs: number
  /** How long boxd of a box that has just started may take to answer. */
  readonly bootMs: number
  /** How long the tree of an announced upload may take to begin. */
  readonly uploadWaitMs: number
  /** Tries of a start that fails, or restarts of a box that ends again within a minute, before it is given up. */
  readonly startAttempts: number
  /** How long a box may leave its driver without an answer before it counts as ended. Programs that fill its memory may keep it busy for a while. */
  readonly hungAfterMs: number
  readonly backoff: { readonly firstMs: number; readonly longestMs: number }
  /** A step of `.gibil.yml` that names no timeout. */
  readonly taskTimeoutMs: number
  readonly cloneTimeoutMs: number
  readonly beforeExpireMs: number
  readonly pool: PoolPolicy
  readonly setups: SetupPolicy
}

/** What is kept of what set-up scripts made; what was used least lately goes first. */
interface SetupPolicy {
  readonly most: number
  /** Room on the host's disk that they take together. */
  readonly mostBytes: number
  /** Then the script runs again: what it installs has newer versions. */
  readonly oldestMs: number
}

/** Boxes made ahead. Times in milliseconds. */
export interface PoolPolicy extends DemandPolicy {
  /** Spare boxes at once; 0: none are made ahead. */
  readonly most: number
  /** Of these, those with a kernel of their own: each takes tens of MiB of memory, a container two. */
  readonly mostMachines: number
  /** Spares of the default image and size, also when nobody asked for any lately. */
  readonly least: number
  /** Spares are made when no create is under way and none came for so long. */
  readonly quietMs: number
  /** Between two looks at what is wanted and how much memory the host has. */
  readonly lookEveryMs: number
  /** While less of the host's memory than this share is free, no spare is kept. */
  readonly freeMemoryShare: number
  /** When one could not be made. */
  readonly retryMs: number
}

export const defaultPolicy: Policy = {
  maxConcurrentCreates: 8,
  queueLimit: 1000,
  maxBoxes: 1000,
  maxSnapshots: 1000,
  maxVolumes: 1000,
  defaultImage: 'base',
  dockerImage: 'docker',
  vmImage: 'vm',
  workstationImage: 'workstation',
  reconcileEveryMs: 60_000,
  stopGraceMs: 5000,
  bootMs: 10_000,
  uploadWaitMs: 600_000,
  startAttempts: 5,
  hungAfterMs: 30_000,
  backoff: { firstMs: 1000, longestMs: 300_000 },
  taskTimeoutMs: 3_600_000,
  cloneTimeoutMs: 1_800_000,
  beforeExpireMs: 30_000,
  setups: { most: 16, mostBytes: 32 * 1024 ** 3, oldestMs: 7 * 86_400_000 },
  pool: {
    most: 16,
    mostMachines: 4,
    least: 2,
    windowMs: 600_000,
    burstMs: 10_000,
    quietMs: 50,
    lookEveryMs: 30_000,
    freeMemoryShare: 0.1,
    retryMs: 30_000,
  },
}

/** All that the domain is given of the outside. */
export interface ControlPlaneDeps {
  readonly store: Store
  /** One for each (provider, shape); the first for `local` and `container` is the default. */
  readonly drivers: readonly Driver[]
  readonly images: ImageSource
  readonly setupLog: SetupLog
  readonly sessionFiles: SessionFiles
  readonly volumes: VolumeStore
  readonly clock: Clock
  readonly random: RandomBytes
  readonly digest: Digest
  readonly connectBoxd: ConnectBoxd
  readonly host: HostSize
  readonly log: Log
  readonly policy?: Partial<Policy>
  /** Called before each step of a move; a test may throw or kill the process there. */
  readonly step?: (name: string) => void
}
