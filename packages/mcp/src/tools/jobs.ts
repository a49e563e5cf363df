import { type Box, type BoxHandle, GibilError, type Job, refOf } from '@gibil/sdk'
import * as z from 'zod'
import { BoxState, boxLine, boxState } from '../results/box.ts'
import { CommandState, commandLine, commandState } from '../results/command.ts'
import { toolError } from '../results/error.ts'
import { findBox, nearest } from '../results/find.ts'
import { looks, removes, type Tool, tool } from '../tool.ts'
import { boxRef, maxBytes, waitSeconds } from './fields.ts'
import { untilEnd } from './until-end.ts'

const jobRef = z.string().min(1).describe('the job that box_run answered with, or of job_list')

export const jobOutput: Tool = tool({
  name: 'job_output',
  title: 'Output and status of a job',
  description:
    'Whether a command still runs or how it ended, and what it printed: the end of it, or from offset on. waitSeconds waits for its end.',
  effect: looks,
  input: z.object({
    box: boxRef,
    job: jobRef,
    offset: z.int().min(0).optional().describe('first byte; nextOffset of the result before goes on where that ended'),
    waitSeconds: waitSeconds(0, 600),
    maxBytes,
  }),
  output: z.object({
    box: BoxState,
    ...CommandState.shape,
    output: z.string(),
    offset: z.int().describe('of the first byte of output'),
    nextOffset: z.int(),
    outputBytes: z.int().describe('all that it printed so far'),
    lostBytes: z.int().describe('asked for, and no longer kept by the box'),
  }),
  async handle({ box: ref, job: id, offset, waitSeconds: seconds, maxBytes: most }, call) {
    const { handle } = await findBox(call.gibil, ref, call.signal)
    const before = await findJob(handle, id, call.signal)
    if (!before.exit && seconds > 0) await untilEnd(handle, before, seconds, call)
    const job = await handle.jobs.get(id, { signal: call.signal })
    const from = offset ?? Math.max(job.firstOffset, job.outputBytes - most)
    const page = await readOutput(handle, id, from, most, call.signal)
    const state = boxState(await handle.refresh())
    const command = commandState(id, job.exit, Date.now() - Date.parse(job.startedAt))
    const more =
      job.outputBytes > page.nextOffset
        ? `[${job.outputBytes - page.nextOffset} bytes more: offset ${page.nextOffset}]`
        : ''
    const lost = page.lost > 0 ? `[${page.lost} bytes before this are no longer kept]` : ''
    const text = [lost, page.text, more, `[${commandLine(command)}]`, boxLine(state)].filter(Boolean).join('\n')
    const { nextOffset, lost: lostBytes } = page
    return {
      data: {
        box: state,
        ...command,
        output: page.text,
        offset: from + lostBytes,
        nextOffset,
        outputBytes: job.outputBytes,
        lostBytes,
      },
      text,
    }
  },
})

/** A part of the output, without halves of characters at its ends. */
async function readOutput(handle: BoxHandle, id: string, offset: number, limit: number, signal: AbortSignal) {
  const { chunks, nextOffset, lost } = await handle.jobs.output(id, { offset, limit, signal })
  return { text: chunks.map(({ text }) => text).join(''), nextOffset, lost }
}

async function findJob(handle: BoxHandle, id: string, signal: AbortSignal): Promise<Job> {
  try {
    return await handle.jobs.get(id, { signal })
  } catch (error) {
    if (!GibilError.is(error) || error.code !== 'job_not_found') throw error
    const jobs = await handle.jobs.list({ signal })
    const near = nearest(
      id,
      jobs.map((job) => job.id),
    )
    const running = jobs.filter(({ exit }) => exit === null).map((job) => job.id)
    throw toolError(
      'job_not_found',
      error.message,
      near
        ? `Did you mean ${near}?`
        : `Call job_list. ${running.length > 0 ? `Running: ${running.join(', ')}.` : 'Nothing runs in the box; jobs end when it is stopped.'}`,
    )
  }
}

export const jobCancel: Tool = tool({
  name: 'job_cancel',
  title: 'End a job',
  description: 'Asks a command and all that it started to end, and kills them when they have not after five seconds.',
  effect: removes,
  input: z.object({ box: boxRef, job: jobRef, force: z.boolean().default(false).describe('kill at once') }),
  output: z.object({ box: BoxState, ...CommandState.shape }),
  async handle({ box: ref, job: id, force }, call) {
    const { handle } = await findBox(call.gibil, ref, call.signal)
    const job = await findJob(handle, id, call.signal)
    if (!job.exit) {
      if (!force) await handle.jobs.kill(id, 'SIGTERM')
      if (force || !(await untilEnd(handle, job, 5, call))) {
        await handle.jobs.kill(id, 'SIGKILL')
        await untilEnd(handle, job, 5, call)
      }
    }
    const after = await handle.jobs.get(id, { signal: call.signal })
    const state = boxState(await handle.refresh())
    const command = commandState(id, after.exit, Date.now() - Date.parse(after.startedAt))
    return { data: { box: state, ...command }, text: `[${commandLine(command)}]\n${boxLine(state)}` }
  },
})

const listedJobs = 50

export const jobList: Tool = tool({
  name: 'job_list',
  title: 'List jobs',
  description:
    'Commands of a box, or of all boxes that run, newest first: also those of a client that went away in the middle of one.',
  effect: looks,
  input: z.object({
    box: boxRef.optional(),
    running: z.boolean().default(false).describe('only those that still run'),
    cursor: z.string().optional().describe('nextCursor of the page before'),
  }),
  output: z.object({
    jobs: z.array(
      CommandState.extend({ box: z.string(), command: z.string(), startedAt: z.string(), outputBytes: z.int() }),
    ),
    total: z.int(),
    nextCursor: z.string().nullable(),
  }),
  async handle({ box: ref, running, cursor }, { gibil, signal }) {
    // Those that sleep are not asked, which would wake them.
    const boxes: readonly Box[] =
      ref === undefined
        ? (await gibil.list({ signal })).filter(({ status }) => status === 'running')
        : [(await findBox(gibil, ref, signal)).box]
    const found = await Promise.all(
      boxes.map((box) => jobsOf(gibil.box(box.id), refOf(box), ref !== undefined, signal)),
    )
    const all = found.flat().filter((job) => job.running || !running)
    all.sort((a, b) => b.startedAt.localeCompare(a.startedAt))
    const start = Math.max(0, Number(cursor ?? 0) || 0)
    const jobs = all.slice(start, start + listedJobs)
    const nextCursor = start + listedJobs < all.length ? String(start + listedJobs) : null
    const lines = jobs.map((job) => `${job.box} ${job.job}: ${commandLine(job)}: ${job.command}`)
    const more = nextCursor === null ? [] : [`more: call again with cursor "${nextCursor}"`]
    return { data: { jobs, total: all.length, nextCursor }, text: [...lines, ...more].join('\n') || 'There are none.' }
  },
})

async function jobsOf(handle: BoxHandle, box: string, must: boolean, signal: AbortSignal) {
  const jobs = await handle.jobs.list({ signal }).catch((error: unknown) => {
    if (must) throw error
    return []
  })
  return jobs.map((job) => ({
    box,
    ...commandState(job.id, job.exit, Date.now() - Date.parse(job.startedAt)),
    command: lineOf(job),
    startedAt: job.startedAt,
    outputBytes: job.outputBytes,
  }))
}

/** Lines of what runs in a box. */
export const runningIn = async (handle: BoxHandle): Promise<string[]> =>
  (await handle.jobs.list()).filter(({ exit }) => exit === null).map(lineOf)

const shells = new Set(['bash', 'sh', '/bin/bash', '/bin/sh'])

/** The line as it was given, without the shell around it; 200 characters at most. */
function lineOf({ argv }: Job): string {
  const at = shells.has(argv[0] ?? '') ? argv.findIndex((word) => /^-l?c$/.test(word)) : -1
  return (at === -1 ? argv.join(' ') : (argv[at + 1] ?? '')).slice(0, 200)
}
