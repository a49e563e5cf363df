import type { Duplex, Readable } from 'node:stream'
import type {
  Arch,
  CloudWish,
  BakedImage as ContractBakedImage,
  Egress,
  GibilError,
  Isolation,
  NetworkPolicy,
  Price,
  Provider,
  Shape,
  Size,
  SnapshotKind,
  TreeReport,
} from '@gibil/contract'

/** A root filesystem ready for use: directories, top layer first, none of which is ever written to. */
export interface ResolvedImage {
  readonly name: string
  readonly digest: string
  readonly layers: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly workdir: string | null
  readonly user: string | null
  /** What a box of it is when no shape is named. One that is no container needs a kernel of its own. */
  readonly shape?: Shape | undefined
}

/** All a driver needs to make a box, and to make it again after a crash: plain data, no secrets. */
export interface DriverSpec {
  readonly id: string
  readonly hostname: string
  readonly image: ResolvedImage
  readonly size: Size
  readonly network: NetworkPolicy
  /** Absent: all that the policy lets it. */
  readonly egress?: Egress | undefined
  readonly isolation: Isolation
  /** Of a driver that can `volumes`. They are there; those of a box that is stopped may not go. Absent: none. */
  readonly volumes?: readonly { readonly id: string; readonly path: string }[] | undefined
  readonly labels: Readonly<Record<string, string>>
  /** The snapshot that the box begins as, instead of its image. */
  readonly from?: string | undefined
  /** The name of the box, and whose it is: null for the administrator. */
  readonly name?: string | undefined
  readonly owner?: string | null | undefined
  /** User data that the caller gave, as `#cloud-config` or a script. It is no place for secrets: whoever is in the box can read it. */
  readonly cloudInit?: string | undefined
  /** When its lease ends, in seconds since the epoch; null: never. Whoever finds the box after it may end it. */
  readonly deadline?: number | null | undefined
  /** What was asked of a cloud. */
  readonly cloud?: CloudWish | undefined
}

/** What a box of a cloud is there, and what it costs. */
export interface DriverCloud {
  readonly serverType: string
  readonly location: string
  readonly arch: Arch
  readonly price: Price
  /** ISO 8601; null: nothing is billed now. */
  readonly billedSince: string | null
}

/** What a cloud could give for a spec. */
export interface Offer {
  readonly serverType: string
  readonly location: string
  readonly arch: Arch
  readonly available: boolean
  readonly price: Price
}

/** A box that carries our labels at a provider, whichever home made it. */
export interface FoundBox {
  readonly id: string
  readonly name: string
  readonly owner: string | null
  /** Seconds since the epoch; null: its lease has no end. */
  readonly deadline: number | null
  readonly image: string
  readonly status: 'running' | 'stopped'
  readonly size: Size
  /** As of a DriverBox. */
  readonly address: string | null
  readonly cloud?: DriverCloud | undefined
  /** ISO 8601. */
  readonly createdAt: string
  /** Tells homes apart; what it is made of is the driver's. */
  readonly home: string
  /** The machine of that home, where the box says so. */
  readonly host: string | null
  /** False: this home cannot have the key to it. */
  readonly reachable: boolean
}

/** What boxes of an image shall begin as, so that they install nothing. */
export interface BakeWish {
  /** The name by which boxes ask for it. */
  readonly name: string
  /** What sets the machine up that it is made on, as for a box. */
  readonly cloudInit: string
  /** Of that machine. The image fits those with a disk as large, and larger ones. */
  readonly size: Size
  readonly cloud?: CloudWish | undefined
}

/** Such an image, as its provider keeps it. */
export type BakedImage = Omit<ContractBakedImage, 'provider'>

/** What became of a box whose lease was over. */
export interface SweptBox {
  readonly id: string
  readonly name: string
  /** Seconds since the epoch. */
  readonly deadline: number
  /** Why something of it is still there; absent: it is gone. */
  readonly failure?: GibilError
}

export type { SnapshotKind }

/** A saved state of a box, as a driver keeps it. */
export interface DriverSnapshot {
  readonly id: string
  readonly kind: SnapshotKind
  /** Room on the host's disk that it alone takes, in bytes. */
  readonly bytes: number
}

/** A snapshot that can be read in a box that runs. */
export interface DriverMount {
  /** Where in the box; absolute. */
  readonly path: string
  readonly snapshotId: string
}

/** How a box that is a machine may end itself: `poweroff` and `reboot` in it. */
export type SelfEnding = 'power-off' | 'reboot'

/** What a driver finds on the host. `partial`: remains of a create or destroy that did not finish. */
export interface DriverBox {
  readonly id: string
  readonly status: 'running' | 'paused' | 'stopped' | 'partial'
  readonly address: string | null
  /** Why it stopped, when the driver knows: `out of memory`, `killed`. */
  readonly reason?: string
  /** What it asked of its machine as it ended. Absent: nothing, or that is not known. */
  readonly asked?: SelfEnding
  /** What its kernel printed last before it ended by itself, where it has one; 4 KiB at most. Hostile text. */
  readonly console?: string
  /** Of a box that is not on this machine. */
  readonly cloud?: DriverCloud | undefined
  /** Another home has adopted it, and this one is to leave it alone: how that home is told from others. */
  readonly elsewhere?: string | undefined
}

/** A box that runs and does not answer, although the host let it. */
export interface Silence {
  readonly forMs: number
  /** What it waits for outside of itself, in words for its owner; it goes on by itself once that is there. */
  readonly waitsFor?: string
  /** As in DriverBox. */
  readonly console?: string
}

/** What a driver may lack; all else every driver has. */
export type OptionalVerb = 'pause' | 'snapshot' | 'fork' | 'memory-snapshot' | 'volumes'

/** Puts the tree of a stream on the disk of a box that is being made, over what earlier streams have put there. */
export type LayTree = (tar: Readable) => Promise<TreeReport>

/**
 * Done once the disk of a box that is being made is there, while whatever does not depend on what is on it is made too. `ready` returns when that is done, so that
 * little is left to do after what is laid then.
 */
export type FillDisk = (lay: LayTree, ready: () => Promise<void>) => Promise<void>

/** Collects how long each phase of a call took. */
export type Trace = (phase: string, ms: number) => void

export interface DriverOptions {
  readonly signal?: AbortSignal
  readonly trace?: Trace
  /** Progress that is worth being read as it comes, such as what cloud-init prints. Hostile text, one line. */
  readonly onLine?: (line: string) => void
  /** What whoever waits has to know of the box, in one line. */
  readonly onNotice?: (text: string) => void
}

export interface StopOptions {
  /** Keep what the box is as a snapshot at the provider and give the machine back, so that it costs nothing more than that. */
  readonly snapshot?: boolean
}

/**
 * The code for one (provider, shape) pair. Small on purpose: commands and files are spoken with boxd over `dial`, above this
 * port. Every method may be called again after a crash at any point and then finishes what was begun. Everything
 * that a driver makes on the host carries the box id.
 */
export interface Driver {
  readonly provider: Provider
  readonly shape: Shape
  readonly capabilities: ReadonlySet<OptionalVerb>

  /** Prepares the host (networks, rules, helpers). Called once before any other method. Throws `missing_tool`, `needs_root`, `host_unfit`. */
  open(): Promise<void>
  /** Lets go of helpers; boxes keep running. */
  close(): Promise<void>

  /**
   * Makes and starts the box; one that is there with this spec is kept, one with another spec is made anew. On failure nothing of it is left.
   * Throws `disk_full`, `size_beyond_host`, `missing_tool`, `driver_failed`.
   */
  create(spec: DriverSpec, options?: DriverOptions): Promise<DriverBox>
  /**
   * As `create`, but the disk begins empty and has what `fill` lays there instead of the image. What `fill` throws fails it too. Devices are left out. Absent: a
   * tree becomes an image first.
   */
  createFilled?(spec: DriverSpec, fill: FillDisk, options?: DriverOptions): Promise<DriverBox>
  /**
   * Makes a running box that nobody has used yet into the one of this spec: same id, image and size, other hostname, network and labels. When it
   * fails, `create` with the same spec makes the box anew. Absent: boxes of this shape cannot be made ahead.
   */
  adapt?(spec: DriverSpec, options?: DriverOptions): Promise<DriverBox>
  /** Starts a stopped box on its kept disk; fine when it runs. */
  start(spec: DriverSpec, options?: DriverOptions): Promise<DriverBox>
  /** Ends all processes, keeps the disk; fine when stopped. */
  stop(id: string, graceMs: number, options?: StopOptions): Promise<void>
  /** Freezes all processes, keeps the memory. */
  pause(id: string): Promise<void>
  resume(id: string): Promise<void>
  /**
   * Saves what the box is at this moment, under an id of its own that outlives the box; the box goes on as it was. Fine when that snapshot is
   * there. On failure nothing of it is left. `disk+memory` needs a box that runs or is paused, and the capability `memory-snapshot`.
   */
  snapshot?(
    id: string,
    snapshot: { readonly id: string; readonly kind: SnapshotKind },
    options?: DriverOptions,
  ): Promise<DriverSnapshot>
  /**
   * Puts a box back to what a snapshot holds: same id and name. It runs afterwards. What it was before is lost only once that works: when it
   * fails, the box has its old disk and is stopped or runs.
   */
  restore?(spec: DriverSpec, snapshotId: string, options?: DriverOptions): Promise<DriverBox>
  /** Removes a snapshot; what boxes that began as it still need is kept until the last of them goes. Fine when there is none. */
  removeSnapshot?(snapshotId: string): Promise<void>
  /** Those that are whole: of one that did not come to its end `removeSnapshot` removes what there is. */
  listSnapshots?(): Promise<readonly DriverSnapshot[]>
  /**
   * Lets a box that runs read what a snapshot of its shape holds, below a directory that is made or empty; `path` is absolute. Fine when it is there.
   * It goes when it is unmounted or the box stops, in some shapes by a pause too, and is not in what is made of the box. The snapshot may be removed
   * meanwhile. Throws `snapshot_not_found`, `wrong_state`, `file_conflict` (the place is taken), `limit_reached`, `unsupported_by_shape`.
   */
  mountSnapshot?(id: string, snapshotId: string, path: string, options?: DriverOptions): Promise<DriverMount>
  /** Throws `file_not_found` when nothing is mounted there, `file_conflict` while a process of the box uses it. */
  unmountSnapshot?(id: string, path: string): Promise<void>
  /** What a box has mounted; nothing when it does not run. */
  listMounts?(id: string): Promise<readonly DriverMount[]>
  /** Removes the box and all that it has on the host, whatever its state; fine when there is nothing, or it is another home's by now. */
  destroy(id: string): Promise<void>

  inspect(id: string): Promise<DriverBox | undefined>
  /** Every box, and every remainder of one, that carries an id of this home. */
  list(): Promise<readonly DriverBox[]>
  /**
   * Moves the end of the lease where others than this daemon read it; seconds since the epoch, null: none. Asked again until it succeeds. Absent: nobody
   * else ends boxes of this driver.
   */
  setDeadline?(id: string, deadline: number | null): Promise<void>
  /**
   * Changes what a box may connect to, at once and for connections that are open too; also of one that does not run. Absent: boxes of this driver
   * reach all that their policy lets them.
   */
  setEgress?(id: string, egress: Egress): Promise<void>
  /** What could be had for a spec, in the order in which `create` would try it. Absent: boxes of this driver cost nothing. */
  quote?(spec: Pick<DriverSpec, 'image' | 'size' | 'cloud'>): Promise<readonly Offer[]>
  /** Whether the processors of its boxes are emulated, which is several times slower; null: it is found out with the first box. Absent: they are not. */
  emulates?(): Promise<boolean | null>
  /** Every box that carries our labels, whichever home made it. Absent: a box of this driver is known to its own home alone. */
  found?(): Promise<readonly FoundBox[]>
  /**
   * Makes a box that another home made one of this home. From then on `list` has it, and in the other home `inspect` says where it is; each of its verbs but
   * `destroy`, which leaves it alone, throws `box_elsewhere` there. Throws `box_not_found`.
   */
  adopt?(id: string): Promise<DriverBox>
  /** Ends every box whose deadline has passed, whichever home made it, but those of `keep`. One that cannot be removed does not keep the others. */
  sweep?(keep?: ReadonlySet<string>): Promise<readonly SweptBox[]>
  /**
   * Makes what boxes of an image begin as; one that was baked of the same text is kept, and one of another replaced. A failure leaves nothing new. Throws
   * `driver_failed` when the set-up fails, `timeout`, `invalid_user_data`. Absent here and below: nothing is baked for boxes of this driver.
   */
  bake?(wish: BakeWish, options?: DriverOptions): Promise<BakedImage>
  baked?(): Promise<readonly BakedImage[]>
  /** Boxes that began as it live on. Throws `image_not_found`. */
  removeBaked?(name: string): Promise<void>
  /** A byte stream to boxd in the box. Throws `boxd_unreachable`. */
  dial(id: string, signal?: AbortSignal): Promise<Duplex>
  /**
   * Processor time that the box has taken since it was last started, in milliseconds; undefined when unknown. Asked up to once a second for boxes with an idle limit, so it
   * costs them nothing. Absent: their idle limit goes by commands and connections alone.
   */
  cpuMs?(id: string): Promise<number | undefined>
  /** Calls back when a box ends by itself or is killed from outside. */
  onExit(listener: (id: string) => void): void
  /**
   * Calls back within 5 s when a box that runs does not answer any more, again every few seconds as long as it does not, and with null when it does.
   * Absent: the driver does not ask.
   */
  onSilence?(listener: (id: string, silence: Silence | null) => void): void
  /** What the kernel of the box printed of late, 64 KiB at most. Hostile text. Absent: boxes of this shape have no kernel of their own. */
  console?(id: string): Promise<string>
}
