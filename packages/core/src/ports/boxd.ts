import type { Duplex, Readable } from 'node:stream'
import type { Exit, Job, JobOutput, SendSignal, TreeReport, TtySize } from '@gibil/contract'

export interface ExecRequest {
  readonly argv: readonly string[]
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly user?: string
  readonly timeoutMs?: number
  readonly label?: string
  /** A terminal of its own, which is its input too. */
  readonly tty?: TtySize
  /** How much of its output boxd keeps; default 1 MiB, at most 16 MiB. */
  readonly ringBytes?: number
}

/** Bytes that a command printed. */
interface TimedChunk {
  readonly offset: number
  /** Since the command began; null where boxd is too old to know it. */
  readonly ms: number | null
  readonly data: Uint8Array
}

interface TimedOutput {
  readonly chunks: readonly TimedChunk[]
  readonly nextOffset: number
  readonly lost: number
  readonly exit: Exit | null
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

/** What the domain itself needs of boxd in a box, for set-up and hooks; `@gibil/boxd-client` provides it. */
export interface BoxdPort {
  health(): Promise<{ version: string }>
  configure(defaults: { env?: Readonly<Record<string, string>>; user?: string; cwd?: string }): Promise<void>
  /** Runs to the end, giving output as it comes. When the signal aborts, it rejects and the command is killed if it can be. */
  exec(
    request: ExecRequest,
    onOutput: (stream: 'stdout' | 'stderr', data: Uint8Array) => void,
    signal?: AbortSignal,
  ): Promise<Exit>
  /** Starts a command that goes on by itself; returns its job id. */
  startJob(request: ExecRequest): Promise<string>
  /** Every job that boxd knows, oldest first. */
  jobs(): Promise<readonly Job[]>
  /** What a job printed from a byte offset on; waits up to `waitMs` for the first new byte or the exit. */
  jobOutput(id: string, options: { readonly offset: number; readonly waitMs: number }): Promise<JobOutput>
  /** The same as bytes with their times, at most `limit` of them. */
  timedOutput(
    id: string,
    options: { readonly offset: number; readonly waitMs: number; readonly limit: number },
  ): Promise<TimedOutput>
  /** Fine when it has ended. Throws `job_not_found`. */
  signalJob(id: string, signal: SendSignal): Promise<void>
  /** Takes one that has ended out of the list. */
  forgetJob(id: string): Promise<void>
  /** Undefined when there is no such file. Throws `payload_too_large` beyond `maxBytes`. */
  readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined>
  /** A file of any length. Throws `file_not_found`. */
  download(path: string): Promise<Readable>
  putTar(path: string, tar: Readable, user?: string): Promise<void>
  /** A TCP connection to a port of the box. Throws `boxd_unreachable` when nothing listens there. */
  dialPort(port: number): Promise<Duplex>
  shutdown(graceMs: number): Promise<void>
  /** What the tree of the box is: its root filesystem without what it has from its shape. `exclude`: patterns, relative to the root. */
  surveyTree(exclude: readonly string[]): Promise<TreeSurvey>
  /** The tree as a tar stream, which ends with a report. */
  readTree(exclude: readonly string[]): Promise<Readable>
  /**
   * The tree in two streams: the first while the box goes on, which leaves a mark in boxd, and once the rest, which is what has changed since, and what is gone.
   * Whoever puts the one and then the other has what a stream at the time of the second would have been. Throws `boxd_protocol` where boxd is too old for it.
   */
  readTreeFirst(exclude: readonly string[]): Promise<Readable>
  readTreeRest(): Promise<Readable>
  /** Puts a tree over a machine that has a system of its own. */
  layTree(tar: Readable): Promise<TreeReport>
  /** Stops every process of the box until what is returned is called, or the connection or this process ends. */
  standStill(): Promise<() => void>
}

/** Speaks to boxd by dialling it anew for each call. `dial` is given by the control plane and ends what it dialled on abort. */
export type ConnectBoxd = (dial: (signal?: AbortSignal) => Promise<Duplex>) => BoxdPort
