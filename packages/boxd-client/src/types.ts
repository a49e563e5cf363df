import type { Duplex, Readable } from 'node:stream'
import type {
  ChangeMode,
  Exit,
  FileEvent,
  FileInfo,
  FrameType,
  Job,
  JobOutput,
  MakeDirectory,
  Metrics,
  MovePath,
  OpenPort,
  SendSignal,
  TreeReport,
  TtySize,
} from '@gibil/contract'
import type * as z from 'zod'
import type { FileDetails } from './file-details.ts'

/** Opens a byte stream to boxd. The signal ends the dialling. */
export type Dial = (signal?: AbortSignal) => Promise<Duplex>

export interface BoxdClientOptions {
  /** Ends every call of this client: it rejects with the reason when that is a GibilError, else with `cancelled`. */
  readonly signal?: AbortSignal | undefined
  /** How long boxd may take to begin its answer, in ms. Default 30 000. Streams have no limit after that. */
  readonly answerMs?: number | undefined
}

/** What boxd starts. boxd/PROTOCOL.md says what an absent field means. */
export interface StartRequest {
  readonly argv: readonly string[]
  readonly cwd?: string | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly user?: string | undefined
  readonly timeoutMs?: number | undefined
  readonly label?: string | undefined
  readonly tty?: TtySize | undefined
  readonly stdin?: boolean | undefined
  /** How much of its output boxd keeps; default 1 MiB, at most 16 MiB. */
  readonly ringBytes?: number | undefined
  /** Ends its input and output when the last client leaves, as a terminal or a pipe does whose other side is gone. */
  readonly hangUp?: boolean | undefined
}

/** A program that boxd itself is, run as the user. */
export interface BuiltinRequest extends Omit<StartRequest, 'argv'> {
  readonly builtin: 'sftp'
}

/** Where to listen in a box: a TCP port (0: any that is free), or a socket of its own that one user alone can connect to. */
type ListenPlace = { readonly port: number; readonly host?: string | undefined } | { readonly socketOf: string }

/** A place in a box that is listened at; connections that are not taken within 30 s are closed by boxd. Ends when it is closed, or the box is lost. */
export interface BoxListener extends AsyncIterable<Arrival> {
  readonly place: { readonly port?: number | undefined; readonly path?: string | undefined }
  close(): void
}

export interface Arrival {
  readonly id: string
  /** Whence it came, where that has an address. */
  readonly host?: string | undefined
  readonly port?: number | undefined
}

/** What makes a virtual machine one certain box. What is absent stays as it is; `network` counts only with `hostname`. */
export interface Identity {
  readonly hostname?: string
  /** Files of /etc by name: hostname, hosts, resolv.conf, machine-id. */
  readonly etc?: Readonly<Record<string, string>>
  /** IPv4 addresses; null: the box has no network. */
  readonly network?: {
    readonly address: string
    readonly gateway: string
    readonly mac: string
    readonly mtu: number
  } | null
  /** Base64 of at most 512 random bytes, from which the kernel's random numbers begin anew. */
  readonly entropy?: string
  /** RFC 3339. */
  readonly time?: string
}

/** A disk that the host serves to a virtual machine, mounted in it to be read. */
export interface ServedDisk {
  /** Absolute; in the answer of boxd without links. */
  readonly path: string
  /** TCP port of the host's side of the control link, where it speaks NBD. */
  readonly port: number
  /** The host's own word for it: 1 to 48 of A-Z, a-z, 0-9, "-" and "_". */
  readonly label: string
}

export interface Frame {
  readonly type: FrameType
  readonly payload: Buffer
}

/**
 * One connection to a command: its frames from `started` on, ended by `exit` or `error`. Payloads that are JSON have been checked.
 * What is not read stalls the command as a full pipe would. Closing leaves the command running.
 */
export interface CommandChannel extends AsyncIterable<Frame> {
  /** Resolves when the bytes have left this process. A payload longer than a frame is split. Throws `boxd_unreachable`. */
  send(type: FrameType, payload: Uint8Array): Promise<void>
  close(): void
}

/** A tree, before any of it is taken. */
export interface TreeSurvey {
  readonly entries: number
  /** On the disk of the box. */
  readonly bytes: number
  /** The largest id of a user or group that owns anything, and what that is. */
  readonly maxId: number
  readonly maxIdPath: string
}

/** Bytes that boxd sends, with what is known of them before they come. A body that is cut short ends with an error. */
export interface Download {
  readonly status: 200 | 206
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readable
}

export interface Defaults {
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly user?: string | undefined
  readonly cwd?: string | undefined
}

export interface OutputQuery {
  readonly offset?: number | undefined
  readonly limit?: number | undefined
  readonly waitMs?: number | undefined
}

/** Bytes that a command printed, with their time since it began; null where boxd is too old to know it. */
interface TimedChunk {
  readonly offset: number
  readonly ms: number | null
  readonly data: Uint8Array
}

export interface TimedOutput {
  readonly chunks: readonly TimedChunk[]
  readonly nextOffset: number
  readonly lost: number
  readonly exit: Exit | null
}

/**
 * boxd in one box. Every call dials a stream of its own. All throw GibilError only: what boxd refused, `boxd_unreachable` when it
 * cannot be reached or does not answer in time, `boxd_protocol` when its bytes are not the protocol.
 */
export interface BoxdClient {
  health(): Promise<{ version: string; pid: number; startedAt: string }>
  configure(defaults: Defaults): Promise<void>
  /**
   * For boxd of a virtual machine only; others throw `not_found`. `bootJob` is the job of the program that the image has run in each boot, while that is
   * known.
   */
  identify(identity: Identity): Promise<{ readonly bootJob: string | null }>
  /** Has the machine write to its disk what programs have written so far. For boxd of a virtual machine only; others throw `not_found`. */
  sync(): Promise<void>
  /** Mounts a disk of ext4. As the two below for boxd of a virtual machine only. Throws `file_conflict`, `limit_reached`. */
  mountDisk(disk: ServedDisk): Promise<void>
  /** Throws `file_conflict` while a process uses it, `file_not_found` when none is there. */
  unmountDisk(path: string): Promise<void>
  /** Unmounts all of them: a process that uses one gets EIO. */
  unmountDisks(): Promise<void>
  listDisks(): Promise<ServedDisk[]>
  metrics(): Promise<Metrics>
  ports(): Promise<OpenPort[]>
  /** Asks all processes to end, and kills them after the grace; boxd itself ends last. */
  shutdown(graceMs: number): Promise<void>

  /** Starts a command and listens to it from its first byte. */
  openCommand(request: StartRequest): Promise<CommandChannel>
  /** The same for a program of boxd itself. Throws `invalid_request` where boxd is older than it. */
  openBuiltin(request: BuiltinRequest): Promise<CommandChannel>
  /** Listens to a job from a byte offset on, or from the oldest byte that is kept. */
  attach(job: string, offset?: number): Promise<CommandChannel>
  /** Starts a command that goes on by itself. */
  startJob(request: StartRequest): Promise<Job>
  listJobs(): Promise<Job[]>
  getJob(id: string): Promise<Job>
  /** Text is UTF-8; a character cut by the limit comes with the next call, since `nextOffset` is before it. */
  jobOutput(id: string, query?: OutputQuery): Promise<JobOutput>
  /** The same as bytes with their times. */
  timedOutput(id: string, query?: OutputQuery): Promise<TimedOutput>
  signalJob(id: string, signal: SendSignal): Promise<void>
  resizeJob(id: string, size: TtySize): Promise<void>
  writeStdin(id: string, input: Readable, options: { readonly end: boolean }): Promise<void>
  /** Throws `file_conflict` while it runs. */
  forgetJob(id: string): Promise<void>

  /** `range` as in the HTTP header, such as `bytes=0-99`. */
  readFile(path: string, range?: string): Promise<Download>
  /** Replaces the file at once, or leaves it as it was. `mode` is octal text. Throws `file_conflict` where it has not the hash `ifHash`. */
  writeFile(
    path: string,
    body: Readable,
    options?: {
      readonly user?: string | undefined
      readonly mode?: string | undefined
      readonly ifHash?: string | undefined
    },
  ): Promise<FileInfo>
  removeFile(path: string, options?: { readonly recursive: boolean }): Promise<void>
  stat(path: string, options?: { readonly follow: boolean }): Promise<FileInfo>
  list(path: string, options?: { readonly depth: number }): Promise<FileInfo[]>
  /** What a path itself is, with what it leads to, and its extended attributes of a prefix such as `user.x.`. */
  describe(path: string, prefix: string): Promise<FileDetails>
  /** The same of all that is below a directory, so many levels deep. */
  describeBelow(path: string, options: { readonly depth: number; readonly prefix: string }): Promise<FileDetails[]>
  /** Makes the extended attributes of a prefix these and no others. */
  setAttributes(path: string, prefix: string, set: Readonly<Record<string, string>>): Promise<void>
  mkdir(input: z.infer<typeof MakeDirectory>): Promise<void>
  move(input: z.infer<typeof MovePath>): Promise<void>
  chmod(input: z.infer<typeof ChangeMode>): Promise<void>
  /** Changes from the `ready` on; ends when the path itself is gone, or by the signal of the client. */
  watch(path: string, options?: { readonly recursive: boolean }): AsyncIterable<FileEvent | { readonly type: 'ready' }>
  readTar(path: string, options?: { readonly exclude: readonly string[] }): Promise<Download>
  writeTar(path: string, tar: Readable, options?: { readonly user?: string | undefined }): Promise<void>

  /** What the tree of the box is: its root filesystem without what it has from its shape. `exclude`: patterns relative to the root. */
  surveyTree(exclude: readonly string[]): Promise<TreeSurvey>
  /** The tree as a tar stream, with a report at its end: boxd/PROTOCOL.md. */
  readWholeTree(exclude: readonly string[]): Promise<Readable>
  /** The tree in two streams: the first while the box goes on, and once what has changed since. */
  readTreeFirst(exclude: readonly string[]): Promise<Readable>
  readTreeRest(): Promise<Readable>
  /** Puts a tree over a machine that has a system of its own. */
  layTree(tar: Readable): Promise<TreeReport>
  /** Stops every process of the box; what is returned lets them go on, and so does the end of the connection. */
  standStill(): Promise<() => void>

  /** A TCP connection to a port of the box; half-closes like one. Throws `port_closed` when nothing listens there. */
  dial(port: number, host?: string): Promise<Duplex>
  /** Throws `file_conflict` when the port is in use. */
  listen(place: ListenPlace): Promise<BoxListener>
  /** Takes a connection that came to a listener; half-closes like one. Throws `port_closed` when it waits no more. */
  accept(id: string): Promise<Duplex>
}
