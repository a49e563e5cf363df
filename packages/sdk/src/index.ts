/** @module The TypeScript client of a Gibil daemon: make boxes, run commands in them, move files and work in and out. */
export type {
  AdoptableBox,
  AdoptBox,
  AwakeReason,
  BakedImage,
  Box,
  Budget,
  BudgetLimits,
  Choice,
  CostReport,
  CreateFleet,
  CreateSnapshot,
  CreateToken,
  E2bDoor,
  ErrorBody,
  ErrorCode,
  Event,
  Exit,
  Exported,
  Failure,
  FileEvent,
  FileInfo,
  Fleet,
  Fork,
  Image,
  ImportBox,
  Job,
  JobOutput,
  Metrics,
  Mount,
  MoveBox,
  Moved,
  NetworkPolicy,
  NewToken,
  OnExpire,
  OpenPort,
  PortAddress,
  Progress,
  Readiness,
  RunResult,
  Session,
  SessionOutput,
  SessionResult,
  SetUpE2b,
  Shape,
  Size,
  Snapshot,
  SnapshotKind,
  SshState,
  Status,
  Token,
  TokenLimits,
  TopEntry,
  TtySize,
  Version,
  Volume,
  VolumeMount,
  Wait,
} from '@gibil/contract'
// Schemas that doors build their own on, and types.
export {
  CreateBox,
  errorTable,
  ForkBoxes,
  formatBytes,
  formatDuration,
  formatMoney,
  GibilError,
  hourlyOf,
  knownAgent,
  knownAgents,
  Needs,
  parseDuration,
  parseMib,
  parseRepo,
} from '@gibil/contract'
export type { Adoption } from './adopt.ts'
export type { BoxHandle, ShellOptions } from './box/box.ts'
export type { Command, CommandOptions, RunOptions } from './box/command.ts'
export type { CommandOutput, CommandStream, SignalName, StreamOptions, StreamSettings } from './box/command-stream.ts'
export type { FileData, Files, ReadOptions, ReplaceOptions, WriteOptions } from './box/files.ts'
export type { Jobs, OutputOptions } from './box/jobs.ts'
export { type Answers, agents, needsOfAnswers, questions } from './choose/questions.ts'
export { type ConnectOptions, type Endpoint, gibilHome } from './connect/locate.ts'
export type { CreateOptions, OwnedBox, RepoOptions } from './create/create.ts'
export type { FleetOptions } from './create/fleet.ts'
export type { E2b } from './e2b.ts'
export type { EventsOptions } from './events.ts'
export type { BoxExport, ExportOptions } from './export-box.ts'
export { type Fleets, Gibil } from './gibil.ts'
export type { BuildRequest, Images, LongCallOptions } from './images.ts'
export { costInWords, leftOf, placeInWords, refOf, sizeInWords, whyNot } from './in-words.ts'
export type { BranchResult, PullApi, PullOptions } from './repo/pull.ts'
export type { PushOptions, PushResult } from './repo/push.ts'
export type { Sessions, StartOptions } from './sessions.ts'
export type { Snapshots } from './snapshots.ts'
export type { Tokens } from './tokens.ts'
export type { DownloadOptions, DownloadResult } from './tree/download.ts'
export type { UploadOptions } from './tree/upload.ts'
export type { Volumes } from './volumes.ts'
