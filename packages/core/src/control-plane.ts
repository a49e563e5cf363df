import type { Duplex, Readable } from 'node:stream'
import type {
  AdoptableBox,
  AdoptBox,
  BakedImage,
  BakeImage,
  Box,
  Budget,
  BudgetLimits,
  Choice,
  CostReport,
  CreateBox,
  CreateFleet,
  CreateSnapshot,
  Event,
  Fleet,
  Fork,
  ForkBoxes,
  Image,
  Mount,
  MountSnapshot,
  MoveBox,
  Moved,
  Needs,
  Progress,
  Provider,
  RestartBox,
  Snapshot,
  StopBox,
  Version,
  Wait,
} from '@gibil/contract'
import type { Owner } from './box-record.ts'
import type { Use } from './lease/activity.ts'
import type { ExportOptions, ImportInput, TakeBox } from './move/box-file.ts'
import type { SetEgress } from './plane/egress.ts'
import type { Ended } from './plane/ended.ts'
import type { EventsWanted } from './plane/event-log.ts'
import type { Publishing } from './plane/publishing.ts'
import type { Tokens } from './plane/tokens.ts'
import type { Volumes } from './plane/volumes.ts'
import type { PoolState } from './pool/warm-pool.ts'
import type { Sessions } from './session/sessions.ts'

export interface CreateOptions {
  /** Called for each phase as it ends, and for each step of set-up as it begins. */
  readonly onProgress?: (progress: Progress) => void
  /** Ends the waiting, not the create. */
  readonly signal?: AbortSignal
  /** Whose the boxes will be; default the administrator's. */
  readonly owner?: Owner
}

export interface ConnectOptions {
  /** Without counting as activity, and without waking the box. */
  readonly quiet?: boolean
  /** What the connection is for; default `command`. */
  readonly use?: Use
}

/**
 * Every verb of boxes, once, for every door, over the boxes that one caller may know of. `ref` is a name or an id. Methods
 * throw GibilError only. Answers show the state after the verb has taken effect.
 */
export interface BoxPlane extends Publishing {
  create(input: CreateBox, options?: CreateOptions): Promise<Box>
  createFleet(input: CreateFleet, options?: CreateOptions): Promise<Fleet>
  /** Waits until a box has come so far; throws its failure when it failed. */
  wait(ref: string, wait: Wait, signal?: AbortSignal): Promise<Box>
  /** The tree of a box whose repo was announced as `upload`: a tar stream; set-up goes on after it. */
  uploadRepo(ref: string, tar: Readable): Promise<Box>

  get(ref: string): Promise<Box>
  list(filter?: { fleet?: string; owner?: Owner }): Promise<Box[]>
  extend(ref: string, ttl: string | number): Promise<Box>
  /** What it may connect to from now on, in place of what was said before. */
  setEgress: SetEgress
  pause(ref: string): Promise<Box>
  resume(ref: string): Promise<Box>
  /** `snapshot`: so that it costs no more than a snapshot. Throws `unsupported_by_shape` for a box of this machine, which costs nothing. */
  stopBox(ref: string, options?: StopBox): Promise<Box>
  startBox(ref: string): Promise<Box>
  /**
   * Ends what runs in a box, with a grace if it answers, and starts it again on its disk; starts it if it does not run. Throws `wrong_state`.
   * `force`: without a grace. `fresh`: on a new disk made from its image, and set up again; a box that cannot be made then is gone.
   */
  restart(ref: string, options?: RestartBox): Promise<Box>
  /** Returns when nothing of it is left. Throws `box_not_found`. */
  destroy(ref: string): Promise<Box>
  destroyFleet(fleet: string): Promise<Box[]>

  /** Saves what a box is now; it goes on as it was. Throws `wrong_state`, `unsupported_by_shape`, `name_in_use`. */
  snapshot(ref: string, input: CreateSnapshot): Promise<Snapshot>
  /** Oldest first. `box`: name or id of the box that they were taken of, which may be gone. */
  snapshots(filter?: { box?: string; owner?: Owner }): Promise<Snapshot[]>
  /** Throws `snapshot_not_found`, here and below. */
  getSnapshot(ref: string, options?: { owner?: Owner }): Promise<Snapshot>
  /** Boxes that began as it live on. */
  removeSnapshot(ref: string, options?: { owner?: Owner }): Promise<Snapshot>
  /** Puts a box back to a snapshot: same name, id and lease, and it runs afterwards. When it fails, the box is what it was. */
  restore(ref: string, snapshot: string): Promise<Box>
  /**
   * Lets a running box read a snapshot of a box of its shape and image, until that is unmounted or the box stops. Throws `snapshot_not_found`,
   * `wrong_state`, `invalid_path`, `file_conflict`, `limit_reached`, `unsupported_by_shape`.
   */
  mount(ref: string, input: MountSnapshot): Promise<Mount>
  /** `what`: the path, or the snapshot. Throws `file_not_found`, `file_conflict` while a process of the box uses it. */
  unmount(ref: string, what: string): Promise<Mount>
  mounts(ref: string): Promise<Mount[]>
  /** Makes boxes that begin as a box is now, or as a snapshot is: what failed is told, and the others kept. */
  fork(input: ForkBoxes, options?: CreateOptions): Promise<Fork>

  /**
   * Makes a box one of another shape, provider or size: what is on its disk, and its name, id, environment, labels, lease and published ports go along;
   * processes do not. Until the new one answers the old one is kept: when it fails, the box is what it was. Throws `wrong_state`,
   * `unsupported_by_shape`, `invalid_size`, `size_beyond_host`, `lease_out_of_range`, `cloud_sold_out`, `over_budget`, `limit_reached`, `disk_full`.
   */
  move(ref: string, input: MoveBox, options?: CreateOptions): Promise<Moved>

  /**
   * Hands out what a box is, and its tree, while the box stands still; it goes on when what takes them has ended. Throws `wrong_state`.
   * `env`: with the values of its environment, which may be secrets.
   */
  exportBox<T>(ref: string, take: TakeBox<T>, options?: ExportOptions): Promise<T>
  /**
   * Makes a box of what was exported, here or elsewhere. All that can be wrong but the tree is found before that is read; of one that is not whole nothing is
   * kept. Throws `name_in_use`, `unsupported_by_shape`, `invalid_size`, `box_file_invalid`, and what creates throw.
   */
  importBox(input: ImportInput, options?: CreateOptions): Promise<Box>

  /**
   * A byte stream to boxd in a running box. Counts as activity while it is open, unless `quiet` (for measuring: a box that is
   * only looked at is idle). A paused box is resumed first, unless `quiet`. Throws `wrong_state`, `boxd_unreachable`.
   */
  connect(ref: string, signal?: AbortSignal, options?: ConnectOptions): Promise<{ box: Box; stream: Duplex }>
  /** What set-up printed. `done`: set-up has ended and nothing more will come. */
  setupLog(ref: string, offset: number, limit: number): Promise<{ text: string; nextOffset: number; done: boolean }>

  /** What the kernel of the box printed of late. Throws `unsupported_by_shape` for a shape without a kernel of its own. */
  console(ref: string): Promise<string>

  /** Events after `afterSeq` that are kept, then live ones if they are wanted, until the signal. */
  events(options: EventsWanted): AsyncIterable<Event>
  /** How a box of that name or id went, if that is not long ago. */
  ended(ref: string, filter?: { owner?: Owner }): Promise<Ended | undefined>
  /** What boxes have cost, those that are gone too. */
  cost(filter?: { owner?: Owner }): Promise<CostReport>
  /** Directories that outlive boxes. */
  readonly volumes: Volumes
  /** Agents at their tasks in boxes. */
  readonly sessions: Sessions
  /** What boxes can be made here, and why not. */
  shapes(): Version['shapes']
  /** Which box some needs are met by, why, and what it costs. Throws `contradictory_needs`, `invalid_duration`, `invalid_size`, `over_price_cap`. */
  choose(needs: Needs): Promise<Choice>
}

/** The application, as its administrator has it: all boxes, and what is not of one box. */
export interface ControlPlane extends BoxPlane {
  /**
   * Opens the drivers, looks how every box is, and ends what has no lease any more; then keeps leases and state. What was begun before a
   * crash is finished, and what belongs to nobody is swept, while boxes are served: a call for a box that is not yet as it should
   * be waits for that box alone, which then comes first.
   */
  start(): Promise<void>
  /** Resolves when all that an earlier daemon left was seen to. */
  caughtUp(): Promise<void>
  /** Stops keeping; boxes go on running. */
  stop(): Promise<void>

  readonly tokens: Tokens
  /** What a token sees and reaches: its own boxes, which look to it as those of the administrator look to him. */
  as(owner: string): BoxPlane
  /** What boxes of clouds may cost from now on; those that are there stay. Answers what of it is left. */
  setBudget(limits: BudgetLimits): Promise<Budget>
  /** Boxes at a provider that other homes made. Throws `unsupported_by_shape` for this machine, `cloud_unauthorized`, `cloud_unreachable`. */
  adoptable(provider?: Provider): Promise<AdoptableBox[]>
  /**
   * Takes a box over that another home made, by its name there or its id: it keeps its lease unless it gets a new one, and is the administrator's. Throws
   * `box_not_found`, `name_in_use`, `invalid_name`, `lease_out_of_range` when its lease is over and no new one is given.
   */
  adopt(ref: string, input: AdoptBox): Promise<Box>
  /**
   * Makes an image of what is on the disk of a box that runs, for boxes of every shape. It stands still meanwhile, and goes on. Throws `wrong_state`,
   * `disk_full`.
   */
  saveImage(ref: string, name: string, options?: CreateOptions): Promise<Image>
  /** What boxes of a provider begin as. Throws `unsupported_by_shape` for this machine, here and below. */
  bakedImages(provider?: Provider): Promise<BakedImage[]>
  /** Makes one, or keeps that of the same text; `cloudInit` is what sets it up. Throws as `Driver.bake`. */
  bakeImage(input: BakeImage & { readonly cloudInit: string }, options?: CreateOptions): Promise<BakedImage>
  /** Throws `image_not_found`. */
  removeBakedImage(name: string, provider?: Provider): Promise<void>
  /** Looks for remains of boxes that nobody knows, and removes them. Returns their ids. */
  sweep(): Promise<string[]>
  /** Keeps and tells an event of an image, for whoever changes images. */
  imageEvent(type: 'image.added' | 'image.removed', data: Readonly<Record<string, unknown>>): Promise<void>
  /** Boxes made ahead: how many there are, and how often one was there. */
  pool(): PoolState
}
