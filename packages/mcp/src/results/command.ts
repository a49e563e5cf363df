import type { Exit } from '@gibil/sdk'
import * as z from 'zod'

/** How a command is, or ended. */
export const CommandState = z.object({
  job: z.string().describe('what to call the command by: job_output, job_cancel'),
  running: z.boolean().describe('true: it goes on as a job'),
  exitCode: z.int().nullable().describe('null: it runs, or a signal ended it'),
  signal: z.string().nullable(),
  timedOut: z.boolean(),
  seconds: z.number().describe('how long it took, or has run so far'),
})
export type CommandState = z.infer<typeof CommandState>

export const commandState = (job: string, exit: Exit | null, runningMs: number): CommandState => ({
  job,
  running: exit === null,
  exitCode: exit?.exitCode ?? null,
  signal: exit?.signal ?? null,
  timedOut: exit?.timedOut ?? false,
  seconds: Math.round((exit?.durationMs ?? runningMs) / 100) / 10,
})

/** Such as `exit code 0 after 1.2 s`. */
export function commandLine({ job, running, exitCode, signal, timedOut, seconds }: CommandState): string {
  if (running) return `still running after ${seconds} s as job ${job}`
  if (timedOut) return `killed at its time limit, after ${seconds} s`
  return `${signal === null ? `exit code ${exitCode}` : `ended by ${signal}`} after ${seconds} s`
}
