import type { Readable, Writable } from 'node:stream'
import type pc from 'picocolors'

export type Colors = ReturnType<typeof pc.createColors>

/** A stream of output; `isTTY` says that a person looks at it. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number }
type Input = Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown }

/** All that a verb has of the world. Tests hand in their own. */
export interface Cli {
  /** The words of the command line. */
  readonly argv: readonly string[]
  readonly stdin: Input
  readonly stdout: Output
  readonly stderr: Output
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly colors: Colors
  /** Aborts at the first Ctrl-C or SIGTERM, unless a verb handles interrupts itself. */
  readonly signal: AbortSignal
  /** Takes interrupts over from `signal` until the returned function is called. */
  onInterrupt(handler: (signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP') => void): () => void
}
