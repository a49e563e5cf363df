import { type CreateOptions, GibilError, type Session, type StartOptions } from '@gibil/sdk'
import * as z from 'zod'
import { toolError } from '../results/error.ts'
import { findBox } from '../results/find.ts'
import { SessionState, sessionLine, sessionState } from '../results/session.ts'
import { runs, type Tool, type ToolCall, tool } from '../tool.ts'
import { createInput } from './box-create.ts'
import { boxFields } from './fields.ts'

const mostTasks = 20
const atOnce = 4

const { env: _, ttl, name, ...made } = boxFields

export const sessionStart: Tool = tool({
  name: 'session_start',
  title: 'Start agents at tasks',
  description:
    'Starts an agent at a task in a box of its own, several for several tasks, and answers once they run: they go on by themselves, recorded, and their work is kept as commits. Follow with session_output, fetch with session_result.',
  effect: runs,
  input: z.object({
    agent: z
      .string()
      .min(1)
      .describe(
        'claude, codex, gemini or opencode, installed where the box has it not; else a line for bash, with {task} for the task or the task as its last word',
      ),
    tasks: z.array(z.string().min(1)).min(1).max(mostTasks).describe('one session for each'),
    box: z.string().optional().describe('a box that is there, for one task; default: new boxes'),
    name: name.describe('of the new box; <name>-1 … <name>-N for several tasks'),
    ...made,
    ttl: ttl.describe('of a new box; default: the timeout and 30 minutes'),
    env: z
      .record(z.string(), z.string())
      .optional()
      .describe('for the agent alone, and kept nowhere; it gets besides what the user lets it have'),
    timeout: z.union([z.string(), z.number()]).optional().describe('ends the agent; "90m", "none"; default 2h'),
    onEnd: z.enum(['keep', 'pause', 'destroy']).optional().describe('what becomes of the box; default pause'),
  }),
  output: z.object({
    sessions: z.array(SessionState),
    failures: z.array(z.object({ task: z.string(), message: z.string() })),
  }),
  async handle({ agent, tasks, box, name: wanted, env, timeout, onEnd, ...fields }, call) {
    if (box !== undefined && tasks.length > 1) {
      throw toolError(
        'invalid_request',
        'Several tasks in one box would be in the way of each other.',
        'Leave box out, so that each gets a box of its own, or give one task.',
      )
    }
    const boxFor = await boxesFor(box, fields, call)
    const terms = {
      agent,
      env: { ...call.agentEnv, ...env },
      ...(timeout === undefined ? {} : { timeout }),
      ...(onEnd === undefined ? {} : { onEnd }),
    }
    const inputs = tasks.map((task, index): StartOptions => {
      const named = wanted === undefined || tasks.length === 1 ? wanted : `${wanted}-${index + 1}`
      return { ...terms, task, box: boxFor(named) }
    })
    return answer(tasks, await startAll(inputs, call))
  },
})

/** Where the next session runs, by the name of its box. */
async function boxesFor(
  ref: string | undefined,
  fields: Parameters<typeof createInput>[0],
  call: ToolCall,
): Promise<(name: string | undefined) => string | CreateOptions> {
  if (ref !== undefined) {
    const { box } = await findBox(call.gibil, ref, call.signal)
    return () => box.id
  }
  // How long a box lives that the user says nothing about is for boxes to work in; this one has to outlive its agent.
  const { ttl: _, ...defaults } = call.defaults ?? {}
  const input = await createInput(fields, { ...call, defaults })
  return (name) => ({ ...input, ...(name === undefined ? {} : { name }) })
}

/** Not given the signal, which would take the boxes along; those that are not begun yet when the client has gone are left. */
async function startAll(
  inputs: readonly StartOptions[],
  { gibil, signal, say }: ToolCall,
): Promise<(Session | GibilError)[]> {
  const outcomes: (Session | GibilError)[] = []
  const waiting = inputs.entries()
  const lane = async (): Promise<void> => {
    for (const [index, input] of waiting) {
      const begun = signal.aborted
        ? Promise.reject(new GibilError('cancelled', 'The call was given up before this one was begun.'))
        : gibil.sessions.start(input, { onProgress: ({ phase, message }) => say(message ?? phase) })
      outcomes[index] = await begun.catch((error: unknown) => GibilError.from(error))
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, inputs.length) }, lane))
  return outcomes
}

function answer(tasks: readonly string[], outcomes: readonly (Session | GibilError)[]) {
  const sessions = outcomes.flatMap((one) => (one instanceof GibilError ? [] : [sessionState(one)]))
  const failures = outcomes.flatMap((one, index) =>
    one instanceof GibilError ? [{ task: tasks[index] ?? '', message: `${one.code}: ${one.message}` }] : [],
  )
  const first = outcomes[0]
  if (sessions.length === 0 && first instanceof GibilError) throw first
  const lines = [
    ...sessions.map((one) => `${sessionLine(one)} ${one.task}`),
    ...failures.map(({ task, message }) => `not started: ${task}: ${message}`),
    'next: session_output with session and waitSeconds, then session_result',
  ]
  return { data: { sessions, failures }, text: lines.join('\n') }
}
