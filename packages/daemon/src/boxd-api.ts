import type { Duplex, Readable } from 'node:stream'
import type {
  ChangeMode,
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
  StartCommand,
  TtySize,
} from '@gibil/contract'
import type * as z from 'zod'

/** What boxd starts: a StartCommand whose line has become an argument of bash. */
export interface StartRequest extends Omit<StartCommand, 'command' | 'argv'> {
  readonly argv: readonly string[]
  readonly tty?: TtySize | undefined
  readonly stdin?: boolean | undefined
}

export interface Frame {
  readonly type: FrameType
  readonly payload: Buffer
}

/** One connection to a command: its frames, ended by `exit` or `error`. Closing it leaves the command running. */
export interface CommandChannel extends AsyncIterable<Frame> {
  /** Resolves when there is room for more. */
  send(type: FrameType, payload: Uint8Array): Promise<void>
  close(): void
}

/** Bytes that boxd sends, with what is known of them before they come. */
export interface Download {
  readonly status: 200 | 206
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readable
}

/** What the routes need of boxd in one box. Every call is a connection of its own, ended by the signal of its call. */
export interface BoxdApi {
  openCommand(request: StartRequest): Promise<CommandChannel>
  attach(job: string, offset: number | undefined): Promise<CommandChannel>
  startJob(request: StartRequest): Promise<Job>
  listJobs(): Promise<Job[]>
  getJob(id: string): Promise<Job>
  jobOutput(
    id: string,
    query: {
      readonly offset?: number | undefined
      readonly limit?: number | undefined
      readonly waitMs?: number | undefined
    },
  ): Promise<JobOutput>
  signalJob(id: string, signal: SendSignal): Promise<void>
  writeStdin(id: string, input: Readable, options: { readonly end: boolean }): Promise<void>
  forgetJob(id: string): Promise<void>

  readFile(path: string, range: string | undefined): Promise<Download>
  writeFile(
    path: string,
    body: Readable,
    options: { readonly user?: string | undefined; readonly mode?: string | undefined },
  ): Promise<FileInfo>
  removeFile(path: string, options: { readonly recursive: boolean }): Promise<void>
  stat(path: string, options: { readonly follow: boolean }): Promise<FileInfo>
  list(path: string, options: { readonly depth: number }): Promise<FileInfo[]>
  mkdir(input: z.infer<typeof MakeDirectory>): Promise<void>
  move(input: z.infer<typeof MovePath>): Promise<void>
  chmod(input: z.infer<typeof ChangeMode>): Promise<void>
  watch(path: string, options: { readonly recursive: boolean }): AsyncIterable<FileEvent | { readonly type: 'ready' }>
  readTar(path: string, options: { readonly exclude: readonly string[] }): Promise<Download>
  writeTar(path: string, tar: Readable, options: { readonly user?: string | undefined }): Promise<void>

  ports(): Promise<OpenPort[]>
  metrics(): Promise<Metrics>
  dial(port: number): Promise<Duplex>
}
