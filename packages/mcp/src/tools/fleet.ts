import { randomBytes } from 'node:crypto'
import { type Box, type BoxHandle, type Gibil, GibilError, type Job, refOf } from '@gibil/sdk'
import * as z from 'zod'
import { createBounded, wholeEnd } from '../results/bounded.ts'
import { BoxState, boxLine, boxState } from '../results/box.ts'
import { CommandState, commandLine, commandState } from '../results/command.ts'
import { toolError } from '../results/error.ts'
import { adds, looks, runs, type Tool, tool } from '../tool.ts'
import { createInput } from './box-create.ts'
import { commandFields, follow, start } from './box-run.ts'
import { boxFields, waitSeconds } from './fields.ts'
import { inBox } from './file-path.ts'
import { untilEnd } from './until-end.ts'

const largestFleet = 50
const fleetRef = z.string().min(1).describe('the id that fleet_create, or box_fork with count, answered with')
const perBox = z.int().min(200).max(20_000).default(2000).describe('output of each box to answer with')

export const fleetCreate: Tool = tool({
  name: 'fleet_create',
  title: 'Create several boxes',
  description: 'Makes boxes of the same kind, called <name>-1 to <name>-N, and waits until they are ready.',
  effect: adds,
  input: z.object({ ...boxFields, count: z.int().min(1).max(largestFleet) }),
  output: z.object({
    fleet: z.string(),
    boxes: z.array(BoxState),
    failures: z.array(z.object({ name: z.string(), message: z.string() })),
  }),
  async handle({ count, ...fields }, call) {
    const { gibil, say } = call
    const input = { ...(await createInput(fields, call)), count }
    // Not given the signal, which would destroy them all.
    const { id, boxes, failures } = await gibil.fleets.create(input, {
      onProgress: ({ phase, message }) => say(message ?? phase),
    })
    const states = boxes.map((box) => boxState(box))
    const failed = failures.map(({ name, failure }) => ({ name, message: failure.message }))
    const lines = [...states.map(boxLine), ...failed.map(({ name, message }) => `${name} failed: ${message}`)]
    return { data: { fleet: id, boxes: states, failures: failed }, text: [`fleet ${id}`, ...lines].join('\n') }
  },
})

const Part = z.object({
  box: z.string(),
  timeLeft: z.string(),
  cost: z.string(),
  error: z.string().nullable().describe('why this box could not be asked; the others were'),
  command: CommandState.nullable(),
  output: z.string(),
})
type Part = z.infer<typeof Part>

export const fleetRun: Tool = tool({
  name: 'fleet_run',
  title: 'Run a command in several boxes',
  description:
    'Runs the same command in all boxes of a fleet at once, with GIBIL_INDEX (from 0) and GIBIL_COUNT set in each, to share work out. What takes longer than waitSeconds goes on: fleet_collect.',
  effect: runs,
  input: z.object({ fleet: fleetRef, ...commandFields, waitSeconds: waitSeconds(45, 600), maxBytes: perBox }),
  output: z.object({ run: z.string().describe('for fleet_collect'), done: z.boolean(), boxes: z.array(Part) }),
  async handle({ fleet, waitSeconds: seconds, maxBytes, command, env, ...how }, call) {
    const boxes = await boxesOf(call.gibil, fleet, call.signal)
    const run = `r-${randomBytes(4).toString('hex')}`
    const parts = await Promise.all(
      boxes.map((box, index) =>
        part(box, async () => {
          const shared = { GIBIL_INDEX: String(index), GIBIL_COUNT: String(boxes.length), ...env }
          const stream = await start(call.gibil.box(box.id), command, { ...how, env: shared, label: run })
          const kept = createBounded(maxBytes)
          const began = Date.now()
          const exit = await follow(stream, kept, seconds, { ...call, say: () => undefined })
          const output = kept.text((left) => `[… ${left} bytes left out …]`)
          return { command: commandState(stream.job.id, exit, Date.now() - began), output }
        }),
      ),
    )
    return answer(fleet, run, parts)
  },
})

export const fleetCollect: Tool = tool({
  name: 'fleet_collect',
  title: 'Collect from several boxes',
  description:
    'How a fleet_run went in each box of a fleet, with the end of its output, or with the text of a file that each wrote.',
  effect: looks,
  input: z.object({
    fleet: fleetRef,
    run: z.string().optional().describe('of fleet_run; default: the latest'),
    path: z.string().optional().describe('give the text of this file of each box instead of output'),
    waitSeconds: waitSeconds(0, 600),
    maxBytes: perBox,
  }),
  output: z.object({ run: z.string(), done: z.boolean(), boxes: z.array(Part) }),
  async handle({ fleet, run, path, waitSeconds: seconds, maxBytes }, call) {
    const { gibil, signal } = call
    const boxes = await boxesOf(gibil, fleet, signal)
    const jobs = new Map(
      await Promise.all(
        boxes.map(async ({ id }) => [id, await gibil.box(id).jobs.list({ signal }).catch(asError)] as const),
      ),
    )
    const latest = run ?? latestRun([...jobs.values()])
    if (latest === undefined) {
      throw toolError('job_not_found', `Nothing was run in the fleet ${fleet} yet.`, 'Call fleet_run.')
    }
    const parts = await Promise.all(
      boxes.map((box) =>
        part(box, async () => {
          const known = jobs.get(box.id) ?? []
          if (known instanceof GibilError) throw known
          const job = known.findLast(({ label }) => label === latest)
          if (!job) throw new GibilError('job_not_found', `${box.name} has no command of ${latest}.`)
          const handle = gibil.box(box.id)
          const exit = job.exit ?? (await untilEnd(handle, job, seconds, call))
          const command = commandState(job.id, exit, Date.now() - Date.parse(job.startedAt))
          const output =
            path === undefined
              ? await tail(handle, job.id, maxBytes, signal)
              : await text(handle, path, maxBytes, signal)
          return { command, output }
        }),
      ),
    )
    return answer(fleet, latest, parts)
  },
})

/** By number, so that the index of each is the same in every call: which was made first is chance. */
async function boxesOf(gibil: Gibil, fleet: string, signal: AbortSignal): Promise<readonly Box[]> {
  const { boxes } = await gibil.fleets.get(fleet, { signal })
  return boxes.toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
}

/** What one box answers; that it fails is a part of the answer, and does not keep the others from theirs. */
async function part(box: Box, work: () => Promise<Pick<Part, 'command' | 'output'>>): Promise<Part> {
  const { timeLeft, cost } = boxState(box)
  const about = { box: refOf(box), timeLeft, cost }
  try {
    return { ...about, error: null, ...(await work()) }
  } catch (error) {
    const { code, message } = GibilError.from(error)
    return { ...about, error: `${code}: ${message}`, command: null, output: '' }
  }
}

function answer(fleet: string, run: string, boxes: readonly Part[]) {
  const running = boxes.filter(({ command }) => command?.running)
  const done = running.length === 0
  const blocks = boxes.map(
    ({ box, command, error, output, timeLeft, cost }) =>
      `== ${box}: ${command ? commandLine(command) : error} (${timeLeft} left, costs ${cost})\n${output}`,
  )
  const next = done ? '' : `${running.length} still run: call fleet_collect with fleet "${fleet}", run "${run}"`
  return { data: { run, done, boxes: [...boxes] }, text: [...blocks, next].filter(Boolean).join('\n') }
}

function asError(error: unknown): GibilError {
  return GibilError.from(error)
}

function latestRun(all: readonly (readonly Job[] | GibilError)[]): string | undefined {
  const jobs = all
    .flatMap((some) => (some instanceof GibilError ? [] : some))
    .filter(({ label }) => /^r-[0-9a-f]{8}$/.test(label))
  return jobs.toSorted((a, b) => a.startedAt.localeCompare(b.startedAt)).at(-1)?.label
}

async function tail(handle: BoxHandle, id: string, maxBytes: number, signal: AbortSignal): Promise<string> {
  const { outputBytes, firstOffset } = await handle.jobs.get(id, { signal })
  const offset = Math.max(firstOffset, outputBytes - maxBytes)
  const { chunks } = await handle.jobs.output(id, { offset, limit: maxBytes, signal })
  return `${offset > 0 ? `[… ${offset} bytes before …]\n` : ''}${chunks.map((chunk) => chunk.text).join('')}`
}

async function text(handle: BoxHandle, path: string, maxBytes: number, signal: AbortSignal): Promise<string> {
  const data = await handle.files.read(await inBox(handle, path), { end: maxBytes - 1, signal })
  return wholeEnd(data).toString('utf8')
}
