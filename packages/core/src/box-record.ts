import type {
  Charge,
  CloudWish,
  Egress,
  Failure,
  Isolation,
  Lease,
  NetworkPolicy,
  OnFailure,
  PhaseTime,
  Price,
  Provider,
  Readiness,
  Repo,
  Shape,
  Size,
  Status,
} from '@gibil/contract'
import type { GibilConfig, SetupScript } from './gibil-yml/config.ts'
import type { DriverCloud } from './ports/driver.ts'

/** What the user wants the box to be; the reconciler makes it so. */
export type Desired = 'running' | 'paused' | 'stopped' | 'gone'

/** What the caller of create named himself: the repository's `.gibil.yml` does not change it. */
export type ExplicitField =
  | 'shape'
  | 'image'
  | 'cpu'
  | 'memoryMib'
  | 'diskMib'
  | 'ttl'
  | 'idle'
  | 'onExpire'
  | 'onIdle'
  | 'onFailure'

/** Whose a box is: the name of the token that made it, or null for the administrator. */
export type Owner = string | null

/** How a box is made; another value means making it anew. */
export interface Making {
  readonly shape: Shape
  readonly provider: Provider
  /** As asked for, and the digest that it meant at creation. */
  readonly image: string
  readonly imageDigest: string
  readonly size: Size
}

/** A box is in one place by its record, and something of it may be in another. */
interface Moving {
  /** Where the box is not: whatever is there of it goes. */
  readonly other: Pick<Making, 'shape' | 'provider'>
  /** What it is about to be made of; null: that is not there yet, or is no image of this machine. */
  readonly imageDigest: string | null
  /** The record names the new place. */
  readonly arrived: boolean
  /** Before that: it still goes on, and answers. Without it nobody is let in. */
  readonly goesOn?: boolean
}

/** A volume in a box. */
export interface MountedVolume {
  readonly id: string
  readonly name: string
  /** Where in the box. */
  readonly path: string
}

export interface RepoRecord extends Repo {
  /** What git is given, without credentials; null for an upload. */
  readonly url: string | null
  /** A token came with the create. It is kept in memory only, and gone when the daemon is. */
  readonly needsToken: boolean
}

/** A port that the proxy of the daemon serves, by number in a record. */
export interface PublishedRecord {
  readonly port: number
  readonly public: boolean
  /** Opens it while it is private; kept for when it becomes so again. */
  readonly secret: string
}

/** A box as the store keeps it. Times are milliseconds since the epoch. Holds no credentials for repositories. */
export interface BoxRecord extends Making {
  readonly id: string
  /** Unique among the boxes of one owner. */
  readonly name: string
  readonly owner: Owner
  readonly desired: Desired
  readonly status: Status
  readonly readiness: Readiness
  readonly failure: Failure | null
  /** Why it has its shape; null or absent: somebody named it, or nobody has asked when it was made. */
  readonly chosenBecause?: readonly string[] | null
  /** When it ends by itself or hangs. Absent in records of an older version, which restarted. */
  readonly onFailure?: OnFailure
  /** It runs, but has not answered its driver since then. */
  readonly unresponsiveSince?: number | null
  /** What it waits for meanwhile, where its driver knows. */
  readonly waitsFor?: string | null
  /** It was asked to start anew and has yet to be stopped for that, with a grace or `now`. */
  readonly restart?: 'gently' | 'now' | null
  readonly user: string
  readonly env: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly fleet: string | null
  readonly network: NetworkPolicy
  /** Absent: all that the policy lets it. */
  readonly egress?: Egress
  /** Its driver has yet to be told of that. */
  readonly egressBehind?: boolean
  readonly isolation: Isolation
  /** Absent: none. */
  readonly volumes?: readonly MountedVolume[]
  readonly address: string | null
  /** What was asked of its cloud. Absent here and below: it is on this machine. */
  readonly cloudWish?: CloudWish | undefined
  /** User data for cloud-init. It stays for a box that is made anew. */
  readonly cloudInit?: string | undefined
  /** What it is at its provider, as of the last look. */
  readonly cloud?: DriverCloud | undefined
  /** The end of its lease as its provider knows it, in seconds since the epoch; null: none. */
  readonly deadlineTold?: number | null | undefined
  /** It has yet to be taken over from another home. */
  readonly adopting?: boolean
  /** It was stopped, or is to be, so that it costs no more than a snapshot. */
  readonly stopAsSnapshot?: boolean
  /** What it may cost to the end of its lease, by the word of whoever made it. */
  readonly maxCost?: string
  /** The most that its machine may cost, as budgets allowed when it was made; it counts until something is billed. */
  readonly estimate?: Price | undefined
  /** What was billed, oldest first; only the last may go on. */
  readonly charges?: readonly Charge[]
  readonly ports: readonly number[]
  readonly published: readonly PublishedRecord[]
  readonly repo: RepoRecord | null
  readonly explicit: readonly ExplicitField[]
  /** Its set-up script. Absent: it has none. */
  readonly setup?: SetupScript
  /** It has run, or what it made was there. */
  readonly setupDone?: boolean
  /** The snapshot that it has yet to begin as; null once it has. */
  readonly from: string | null
  /** The snapshot that it has yet to be put back to. */
  readonly restoring: string | null
  /** The snapshot that its state last came from. */
  readonly parent: string | null
  /** What the repository's `.gibil.yml` says, once read. */
  readonly config: GibilConfig | null
  /** Set while the box has to be made anew in another way, because its `.gibil.yml` asks for it. */
  readonly remake: Making | null
  /** The repository has session-start hooks, which run at each start. */
  readonly hooked?: boolean
  /** What they have exported for the commands after them. */
  readonly hookEnv?: Readonly<Record<string, string>>
  /** How often that was done: once is enough, else a changing repository could keep it going. */
  readonly remakes: number
  /** A move has not come to its end. Absent or null: none has begun. */
  readonly moving?: Moving | null
  /** Every task has succeeded once: the next start brings up services and `onStart` only. */
  readonly tasksDone: boolean
  readonly ttlMs: number | null
  readonly expiresAt: number | null
  readonly idleMs: number | null
  readonly onExpire: Lease['onExpire']
  /** What the idle limit does. Absent in records of an older version, where it did the same as the end of the TTL. */
  readonly onIdle?: Lease['onIdle']
  /** Which of the two a move has made a stop, since no box is paused where it is now: a pause again where one can be. */
  readonly pauseLost?: readonly ('onExpire' | 'onIdle')[]
  /** The end of the lease that was warned of, so that a moved one is warned of again. */
  readonly warnedFor: number | null
  /** The end of the lease for which `beforeExpire` was begun. */
  readonly hookFor: number | null
  readonly createdAt: number
  readonly startedAt: number | null
  readonly lastActiveAt: number | null
  readonly timings: readonly PhaseTime[]
}
