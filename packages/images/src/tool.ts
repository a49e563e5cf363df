import type { Readable } from 'node:stream'
import { GibilError } from '@gibil/contract'
import { execa } from 'execa'

/** The environment that host programs get: named variables of the daemon's own, never all of it. */
export type HostEnv = Readonly<Record<string, string | undefined>>

export interface ToolOptions {
  readonly env: HostEnv
  readonly signal?: AbortSignal | undefined
  readonly cwd?: string
  readonly input?: Readable | undefined
  /** Each line of stdout and stderr as it comes, cut at 1000 characters. */
  readonly onLine?: (line: string) => void
  /** Each chunk of stdout; stdout is not kept then. */
  readonly onStdout?: (chunk: Uint8Array) => void
  /**
   * Own process and mount namespaces: whatever the program started or mounted ends with it, also when it is killed or when
   * this process dies.
   */
  readonly contained?: boolean
}

export interface ToolResult {
  /** Undefined when a signal ended it. */
  readonly exitCode: number | undefined
  /** At most 1 MiB. */
  readonly stdout: string
  /** The end of stdout and stderr together, at most 4 KiB. */
  readonly tail: string
}

const maxStdout = 1024 * 1024
const maxTail = 4096
const maxLine = 1000

const passedOn =
  /^(PATH|HOME|TMPDIR|https?_proxy|no_proxy|all_proxy|HTTPS?_PROXY|NO_PROXY|ALL_PROXY|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS|npm_config_.*)$/

export const toolEnv = (env: HostEnv): Record<string, string> => {
  const kept = Object.entries(env).filter((entry): entry is [string, string] => passedOn.test(entry[0]) && !!entry[1])
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    ...Object.fromEntries(kept),
    LC_ALL: 'C.UTF-8',
  }
}

/** Throws the reason of an aborted signal as an error of ours. */
export const throwIfAborted = (signal: AbortSignal | undefined): void => {
  if (!signal?.aborted) return
  if (GibilError.is(signal.reason)) throw signal.reason
  throw new GibilError('cancelled', 'It was cancelled before it was done.', { cause: signal.reason })
}

/** Splits chunks into lines, for progress; a line without an end is given when the program ends. */
const lineSplitter = (onLine: (line: string) => void): { push(chunk: Uint8Array): void; end(): void } => {
  const decoder = new TextDecoder()
  let rest = ''
  return {
    push: (chunk) => {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split(/\r\n|\n|\r/)
      rest = (parts.pop() ?? '').slice(-maxLine)
      for (const line of parts) onLine(line.slice(0, maxLine))
    },
    end: () => {
      if (rest !== '') onLine(rest)
      rest = ''
    },
  }
}

const contain = [
  'setpriv',
  '--pdeathsig',
  'KILL',
  'unshare',
  '--mount',
  '--pid',
  '--fork',
  '--kill-child',
  '--mount-proc',
]

const isMissing = (cause: unknown): boolean =>
  typeof cause === 'object' && cause !== null && 'code' in cause && cause.code === 'ENOENT'

/**
 * Runs a program of the host to its end, whatever its exit code; nothing of its output goes anywhere else. Throws
 * `missing_tool` when there is no such program, and the signal's reason (or `cancelled`) when aborted.
 */
export const runTool = async (argv: readonly string[], options: ToolOptions): Promise<ToolResult> => {
  throwIfAborted(options.signal)
  const command = options.contained ? [...contain, ...argv] : argv
  const [file = '', ...args] = command
  let stdout = Buffer.alloc(0)
  let tail = Buffer.alloc(0)
  const lines = lineSplitter(options.onLine ?? (() => undefined))
  const keepTail = (chunk: Uint8Array) => {
    tail = Buffer.concat([tail, chunk]).subarray(-maxTail)
    lines.push(chunk)
  }
  const child = execa(file, args, {
    reject: false,
    buffer: false,
    encoding: 'buffer',
    extendEnv: false,
    env: toolEnv(options.env),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdin: options.input ? 'pipe' : 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    killSignal: 'SIGKILL',
    ...(options.signal ? { cancelSignal: options.signal } : {}),
  })
  child.stdout?.on('data', (chunk: Buffer) => {
    if (options.onStdout) options.onStdout(chunk)
    else {
      if (stdout.length < maxStdout) stdout = Buffer.concat([stdout, chunk]).subarray(0, maxStdout)
      keepTail(chunk)
    }
  })
  child.stderr?.on('data', keepTail)
  const input = options.input
  if (input && child.stdin) {
    // The reader going away first is the program's business: its exit code tells.
    child.stdin.on('error', () => input.destroy())
    input.on('error', () => child.kill('SIGKILL'))
    input.pipe(child.stdin)
  }
  const result = await child
  lines.end()
  throwIfAborted(options.signal)
  if (input?.errored) throw GibilError.from(input.errored)
  if (isMissing(result.cause) || (result.exitCode === 127 && options.contained)) {
    throw new GibilError('missing_tool', `The program ${argv[0]} is not on this host.`, { cause: result.cause })
  }
  if (result.cause !== undefined && result.exitCode === undefined && result.signal === undefined) {
    throw new GibilError('driver_failed', `The program ${argv[0]} could not be run.`, { cause: result.cause })
  }
  return { exitCode: result.exitCode, stdout: stdout.toString('utf8'), tail: tail.toString('utf8') }
}

/** The same, where any other exit code than 0 is a failure: throws what `failure` makes of the end of its output. */
export const mustRun = async (
  argv: readonly string[],
  options: ToolOptions,
  failure: (tail: string) => GibilError = (tail) =>
    new GibilError('driver_failed', `${argv[0]} failed: ${tail.trim().split('\n').at(-1) ?? 'no output'}`, {
      details: { log: tail },
    }),
): Promise<ToolResult> => {
  const result = await runTool(argv, options)
  if (result.exitCode !== 0) throw failure(result.tail)
  return result
}
