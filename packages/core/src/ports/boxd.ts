import type { Readable } from 'node:stream'
import type { Exit } from '@gibil/contract'

export interface ExecRequest {
  readonly argv: readonly string[]
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly user?: string
  readonly timeoutMs?: number
  readonly label?: string
}

/** What the domain itself needs of boxd in a box, for set-up and hooks; `@gibil/boxd-client` provides it. */
export interface BoxdPort {
  health(): Promise<{ version: string }>
  configure(defaults: { env?: Readonly<Record<string, string>>; user?: string; cwd?: string }): Promise<void>
  /** Runs to the end, giving output as it comes. */
  exec(
    request: ExecRequest,
    onOutput: (stream: 'stdout' | 'stderr', data: Uint8Array) => void,
    signal?: AbortSignal,
  ): Promise<Exit>
  /** Starts a command that goes on by itself; returns its job id. */
  startJob(request: ExecRequest): Promise<string>
  readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined>
  putTar(path: string, tar: Readable, user?: string): Promise<void>
  shutdown(graceMs: number): Promise<void>
}
