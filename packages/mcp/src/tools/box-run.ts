import { setTimeout as sleep } from 'node:timers/promises'
import type { BoxHandle, CommandStream, Exit } from '@gibil/sdk'
import * as z from 'zod'
import { type Bounded, createBounded } from '../results/bounded.ts'
import { BoxState, boxLine, boxState } from '../results/box.ts'
import { CommandState, commandLine, commandState } from '../results/command.ts'
import { findBox } from '../results/find.ts'
import { runs, type Tool, type ToolCall, tool } from '../tool.ts'
import { boxRef, maxBytes, waitSeconds } from './fields.ts'

const sayEveryMs = 5000

/** How a command is started; `box_run` and `fleet_run` have it in common. */
export const commandFields = {
  command: z.string().min(1).describe('a line for bash'),
  cwd: z.string().optional().describe('default: the repository if there is one, else the home directory'),
  env: z.record(z.string(), z.string()).optional(),
  user: z.string().optional().describe('agent (default) or root'),
  timeoutSeconds: z.number().positive().optional().describe('then it is killed; default: never'),
}

export const boxRun: Tool = tool({
  name: 'box_run',
  title: 'Run a command',
  description:
    'Runs a command in a box and waits for its end, or for waitSeconds: then it goes on by itself as a job (job_output). For a server or a long build give waitSeconds 0. stdout and stderr come together, as they arrive. A box that sleeps wakes.',
  effect: runs,
  input: z.object({
    box: boxRef,
    ...commandFields,
    stdin: z.string().max(65_536).optional().describe('its input; without it the input is empty'),
    waitSeconds: waitSeconds(45, 600),
    maxBytes,
  }),
  output: z.object({
    box: BoxState,
    ...CommandState.shape,
    output: z.string().describe('beginning and end of what it printed so far'),
    outputBytes: z.int(),
    omittedBytes: z.int().describe('what is left out between them: job_output with offset omittedFrom has it'),
    omittedFrom: z.int().nullable(),
  }),
  async handle({ box: ref, waitSeconds: seconds, maxBytes: most, timeoutSeconds, stdin, ...how }, call) {
    const { handle } = await findBox(call.gibil, ref, call.signal)
    const kept = createBounded(most)
    const stream = await start(handle, how.command, { ...how, timeoutSeconds, stdin })
    const began = Date.now()
    const exit = await follow(stream, kept, seconds, call)
    const state = boxState(await handle.refresh())
    const command = commandState(stream.job.id, exit, Date.now() - began)
    const output = kept.text((left) => `[… ${left} bytes left out: job_output with offset ${kept.cutAt} …]`)
    const omittedFrom = kept.left > 0 ? kept.cutAt : null
    const next = command.running ? `call job_output with box "${state.name}", job "${command.job}", waitSeconds 45` : ''
    return {
      data: { box: state, ...command, output, outputBytes: kept.bytes, omittedBytes: kept.left, omittedFrom },
      text: [output, `[${commandLine(command)}]`, next, boxLine(state)].filter(Boolean).join('\n'),
    }
  },
})

interface How {
  readonly cwd?: string | undefined
  readonly env?: Record<string, string> | undefined
  readonly user?: string | undefined
  readonly timeoutSeconds?: number | undefined
  readonly stdin?: string | undefined
  readonly label?: string | undefined
}

/** Starts a command that goes on whatever becomes of this call. */
export async function start(
  handle: BoxHandle,
  command: string,
  { timeoutSeconds, stdin, label = 'mcp', ...how }: How,
): Promise<CommandStream> {
  const timeoutMs = timeoutSeconds === undefined ? undefined : Math.ceil(timeoutSeconds * 1000)
  // Not given the signal of the call, which would end the command with it.
  const stream = await handle.stream(command, { ...how, label, timeoutMs, stdin: stdin !== undefined })
  // Nobody may be waiting for its end any more.
  stream.exit.catch(() => undefined)
  if (stdin !== undefined) stream.stdin.end(stdin)
  return stream
}

/** Takes its output until it ends, for so many seconds at most, then leaves it running. Null: it runs. */
export async function follow(
  stream: CommandStream,
  kept: Bounded,
  seconds: number,
  { signal, say }: Pick<ToolCall, 'signal' | 'say'>,
): Promise<Exit | null> {
  const enough = new AbortController()
  const told = setInterval(() => say(`running, ${kept.bytes} bytes of output`), sayEveryMs)
  const leave = (): void => enough.abort()
  signal.addEventListener('abort', leave, { once: true })
  if (signal.aborted) leave()
  const reading = (async () => {
    for await (const { data } of stream) kept.add(data)
    return stream.exit
  })()
  try {
    const waiting = sleep(seconds * 1000, null, { signal: enough.signal }).catch(() => null)
    return await Promise.race([reading, waiting])
  } finally {
    enough.abort()
    clearInterval(told)
    signal.removeEventListener('abort', leave)
    reading.catch(() => undefined)
    stream.detach()
  }
}
