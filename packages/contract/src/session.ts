/** Sessions: an agent at its task in a box, with what it printed and what came of it. */
import * as z from 'zod'
import { Box, BoxName, DurationInput, Failure } from './box.ts'
import { Exit, TtySize } from './command.ts'

/** `ending`: the agent is done, and its work is fetched. */
export const SessionState = z.enum(['starting', 'running', 'ending', 'ended'])
export type SessionState = z.infer<typeof SessionState>

/** `lost`: its process went away with the box, or with a restart of it. */
export const SessionOutcome = z.enum(['done', 'failed', 'stopped', 'timed-out', 'lost'])
export type SessionOutcome = z.infer<typeof SessionOutcome>

export const OnEnd = z.enum(['keep', 'pause', 'destroy'])
export type OnEnd = z.infer<typeof OnEnd>

/** What a session changed in the repository of its box, kept by the daemon also when the box is gone. */
export const SessionResult = z.object({
  commit: z.string().describe('all of its work: its commits, and on top what it left uncommitted'),
  base: z.string().nullable().describe('the commit that the box was given; null: a repository without one'),
  commits: z.int().describe('commits on top of the base'),
  uncommitted: z.boolean().describe('whether the last of them is what was left uncommitted'),
  bundleBytes: z.int().describe('0: the commit is one that the base has already'),
  patchBytes: z.int(),
})
export type SessionResult = z.infer<typeof SessionResult>

export const Session = z.object({
  id: z.string(),
  box: z.object({ id: z.string(), name: BoxName }).describe('which may be gone'),
  owner: Box.shape.owner,
  agent: z.string().describe('a name, or a line for bash'),
  task: z.string(),
  state: SessionState,
  outcome: SessionOutcome.nullable().describe('null until the agent has ended'),
  exit: Exit.nullable(),
  job: z.string().nullable().describe('the job of the agent in the box'),
  envNames: z.array(z.string()).describe('names only: values reach the agent and are kept nowhere'),
  timeoutSeconds: z.number().nullable(),
  onEnd: OnEnd,
  outputBytes: z.int().describe('recorded so far, with those that were dropped'),
  quietSeconds: z
    .number()
    .nullable()
    .describe('nothing was printed for so long: it thinks, hangs, or waits for an answer; null: it does not run'),
  lastLines: z.string().describe('the end of what it printed, without control characters; 4 KiB at most'),
  result: SessionResult.nullable().describe('null: not yet, or nothing was changed'),
  failure: Failure.nullable().describe(
    'what went wrong beside the agent: its work could not be fetched, or its box is lost',
  ),
  createdAt: z.iso.datetime(),
  startedAt: z.iso.datetime().nullable(),
  endedAt: z.iso.datetime().nullable(),
})
export type Session = z.infer<typeof Session>

export const StartSession = z.strictObject({
  box: z.string().describe('name or id of the box, whose repository it works in'),
  agent: z
    .string()
    .min(1)
    .max(4096)
    .describe(
      'claude, codex, gemini or opencode; else a line for bash, in which {task} is the task, or which gets it as its last word',
    ),
  task: z.string().min(1).max(32_768),
  env: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string())
    .optional()
    .describe('for the agent alone; values are not kept'),
  timeout: DurationInput.optional().describe('then the agent is ended; default 2h; none: never'),
  onEnd: OnEnd.optional().describe('what becomes of the box; default pause'),
  tty: TtySize.optional().describe('its terminal; default 120 by 32'),
})
export type StartSession = z.infer<typeof StartSession>

export const SessionOutput = z.object({
  text: z.string(),
  nextOffset: z.int(),
  lost: z.int().describe('bytes between the asked offset and the oldest kept'),
  done: z.boolean().describe('nothing more will come'),
})
export type SessionOutput = z.infer<typeof SessionOutput>
