import { GibilError, type RunResult, type StartCommand } from '@gibil/contract'

/** A line for `bash -c`, or a program with its arguments, which no shell reads. */
export type Command = string | readonly string[]

export interface CommandOptions {
  /** Default: the repository if there is one, else the home directory. */
  readonly cwd?: string | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly user?: string | undefined
  /** Milliseconds; then the whole process group is killed. */
  readonly timeoutMs?: number | undefined
  /** What `gibil jobs` shows beside it; at most 200 characters. */
  readonly label?: string | undefined
}

export interface RunOptions extends CommandOptions {
  readonly stdin?: string | undefined
  /** Kept of each of stdout and stderr; default 8 MiB, 64 MiB at most. What is over is cut, and `truncated` is set. */
  readonly maxOutputBytes?: number | undefined
  /** Throw `command_failed` unless it ends with exit code 0. */
  readonly check?: boolean | undefined
  /** Aborting ends the waiting, and the command with it. */
  readonly signal?: AbortSignal | undefined
}

const describeCommand = (command: Command): string => (typeof command === 'string' ? command : command.join(' '))

export function startRequest(command: Command, options: CommandOptions): StartCommand {
  const { cwd, env, user, timeoutMs, label } = options
  return {
    ...(typeof command === 'string' ? { command } : { argv: [...command] }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env: { ...env } }),
    ...(user === undefined ? {} : { user }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(label === undefined ? {} : { label }),
  }
}

/** The error of a command that had to succeed; its details hold all of the result. */
export function commandFailure(command: Command, result: RunResult): GibilError {
  const how = result.timedOut
    ? `ran into its timeout after ${Math.round(result.durationMs)} ms`
    : result.signal
      ? `was ended by ${result.signal}`
      : `ended with exit code ${result.exitCode}`
  const lastWords = (result.stderr.trim() || result.stdout.trim()).split('\n').at(-1)?.slice(0, 300)
  return new GibilError(
    'command_failed',
    `\`${describeCommand(command)}\` ${how}${lastWords ? `: ${lastWords}` : '.'}`,
    {
      details: { ...result },
    },
  )
}
