/** Commands in a box: what runs, what it printed, how it ended. */
import * as z from 'zod'

export const TtySize = z.object({ cols: z.int().min(1).max(1000), rows: z.int().min(1).max(1000) })
export type TtySize = z.infer<typeof TtySize>

/** How to start a command. Exactly one of `argv` and `command` (a line for `bash -c`) is given. */
export const StartCommand = z.strictObject({
  argv: z.array(z.string()).min(1).optional(),
  command: z.string().min(1).optional(),
  cwd: z.string().optional().describe('default: the repository if there is one, else the home directory'),
  env: z.record(z.string(), z.string()).optional(),
  user: z.string().optional(),
  timeoutMs: z.int().positive().optional().describe('then the whole process group is killed'),
  label: z.string().max(200).optional(),
})
export type StartCommand = z.infer<typeof StartCommand>

export const RunCommand = StartCommand.extend({
  stdin: z.string().optional(),
  maxOutputBytes: z
    .int()
    .positive()
    .max(64 * 1024 * 1024)
    .optional()
    .describe('per stream; default 8 MiB; what is over is cut'),
})
export type RunCommand = z.infer<typeof RunCommand>

export const Exit = z.object({
  exitCode: z.int().nullable().describe('null when a signal ended it'),
  signal: z.string().nullable().describe('such as SIGKILL'),
  timedOut: z.boolean(),
  durationMs: z.number(),
})
export type Exit = z.infer<typeof Exit>

export const RunResult = Exit.extend({
  stdout: z.string(),
  stderr: z.string(),
  truncated: z.boolean(),
})
export type RunResult = z.infer<typeof RunResult>

/** A command that boxd started and keeps, whether or not anyone is attached. */
export const Job = z.object({
  id: z.string(),
  pid: z.int(),
  argv: z.array(z.string()),
  cwd: z.string(),
  user: z.string(),
  tty: z.boolean(),
  label: z.string(),
  startedAt: z.iso.datetime(),
  exit: Exit.nullable().describe('null while it runs'),
  outputBytes: z.int().describe('bytes printed so far, stdout and stderr together'),
  firstOffset: z.int().describe('the oldest offset still kept'),
  inputBytes: z
    .int()
    .optional()
    .describe('bytes that came for its input so far; not told by a box of an older version'),
})
export type Job = z.infer<typeof Job>

/** The first message of a command stream: start a command, or attach to one from a byte offset. */
export const OpenCommand = z.union([
  StartCommand.extend({ tty: TtySize.optional(), stdin: z.boolean().optional() }),
  z.strictObject({ attach: z.string(), offset: z.int().min(0).optional() }),
])
export type OpenCommand = z.infer<typeof OpenCommand>

export const JobOutput = z.object({
  chunks: z.array(z.object({ stream: z.enum(['stdout', 'stderr']), offset: z.int(), text: z.string() })),
  nextOffset: z.int(),
  lost: z.int().describe('bytes between the asked offset and the oldest kept'),
  exit: Exit.nullable(),
})
export type JobOutput = z.infer<typeof JobOutput>

export const signalNames = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGKILL',
  'SIGUSR1',
  'SIGUSR2',
  'SIGTERM',
  'SIGCONT',
  'SIGSTOP',
  'SIGTSTP',
  'SIGWINCH',
] as const
export const SendSignal = z.strictObject({
  signal: z.enum(signalNames),
  group: z.boolean().optional().describe('default true'),
})
export type SendSignal = z.infer<typeof SendSignal>
