/** @module The domain: boxes, their lease, their set-up and the loop that makes them so. No I/O of its own. */
export type { BoxRecord, Desired, Owner } from './box-record.ts'
export type { BoxPlane, ConnectOptions, ControlPlane, CreateOptions } from './control-plane.ts'
export { createControlPlane } from './create-control-plane.ts'
export { parseGibilYml } from './gibil-yml/parse.ts'
export { GibilYml } from './gibil-yml/schema.ts'
export { type ControlPlaneDeps, defaultPolicy, type Policy } from './plane/deps.ts'
export { notPublished, type Publication } from './plane/publishing.ts'
export type { Caller, Tokens } from './plane/tokens.ts'
export type { Volumes } from './plane/volumes.ts'
export type { PoolState } from './pool/warm-pool.ts'
export type { BoxdPort, ConnectBoxd, ExecRequest } from './ports/boxd.ts'
export type { Clock } from './ports/clock.ts'
export type {
  BakedImage,
  BakeWish,
  Driver,
  DriverBox,
  DriverCloud,
  DriverMount,
  DriverOptions,
  DriverSnapshot,
  DriverSpec,
  FillDisk,
  FoundBox,
  Offer,
  OptionalVerb,
  ResolvedImage,
  SelfEnding,
  Silence,
  SnapshotKind,
  StopOptions,
  SweptBox,
  Trace,
} from './ports/driver.ts'
export type { ImageSource, ImageStep, SavedTree, SaveTree, StepsBuild } from './ports/images.ts'
export type { Log } from './ports/log.ts'
export type { RandomBytes } from './ports/random.ts'
export type { Recorded, ResultKind, SessionFiles } from './ports/session-files.ts'
export type { SetupLog } from './ports/setup-log.ts'
export type { BoxFilter, Store } from './ports/store.ts'
export type {
  VolumeEntry,
  VolumeFiles,
  VolumeOwnership,
  VolumeRecord,
  VolumeStore,
  VolumeWrite,
} from './ports/volumes.ts'
export type { Sessions } from './session/sessions.ts'
export type { SessionRecord } from './session-record.ts'
export type { SnapshotRecord } from './snapshot-record.ts'
export type { TokenRecord } from './token-record.ts'
