import { Readable, Writable } from 'node:stream'
import pc from 'picocolors'
import { runCli } from '../../src/cli.ts'
import type { Cli } from '../../src/context.ts'

export interface CliRun {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  readonly home?: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly input?: string
  readonly signal?: AbortSignal
}

class Collected extends Writable {
  text = ''
  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.text += chunk.toString()
    callback()
  }
}

/** Runs a command line in this process, with streams of its own and no terminal. */
export async function cli(argv: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  const stdout = new Collected()
  const stderr = new Collected()
  const context: Cli = {
    argv,
    stdin: Readable.from(options.input === undefined ? [] : [Buffer.from(options.input)]),
    stdout,
    stderr,
    env: { HOME: '/nonexistent', ...(options.home === undefined ? {} : { GIBIL_HOME: options.home }), ...options.env },
    cwd: options.cwd ?? '/',
    colors: pc.createColors(false),
    signal: options.signal ?? new AbortController().signal,
    onInterrupt: () => () => undefined,
  }
  const status = await runCli(context)
  return { status, stdout: stdout.text, stderr: stderr.text }
}
