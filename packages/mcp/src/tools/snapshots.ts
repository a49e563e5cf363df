import { type CreateSnapshot, ForkBoxes, GibilError, refOf } from '@gibil/sdk'
import * as z from 'zod'
import { BoxState, boxLine, boxState } from '../results/box.ts'
import { toolError } from '../results/error.ts'
import { findBox, nearest } from '../results/find.ts'
import { adds, removes, type Tool, type ToolCall, tool } from '../tool.ts'
import { boxFields, boxRef } from './fields.ts'

export const boxSnapshot: Tool = tool({
  name: 'box_snapshot',
  title: 'Save a box',
  description: 'Saves what a box is now, while it runs: to go back to (box_restore) or to begin others as (box_fork).',
  effect: adds,
  input: z.object({
    box: boxRef,
    name: z.string().optional().describe('a DNS label; made up when absent'),
    kind: z.enum(['disk', 'disk+memory']).optional().describe('default: with memory where the shape can'),
  }),
  output: z.object({ box: BoxState, snapshot: z.string(), kind: z.string() }),
  async handle({ box: ref, ...input }, { gibil, signal }) {
    const { box, handle } = await findBox(gibil, ref, signal)
    const { name, kind } = await gibil.snapshots.create(box.id, input satisfies CreateSnapshot, { signal })
    const state = boxState(await handle.refresh())
    return { data: { box: state, snapshot: name, kind }, text: `saved as ${name} (${kind})\n${boxLine(state)}` }
  },
})

export const boxRestore: Tool = tool({
  name: 'box_restore',
  title: 'Put a box back',
  description: 'Puts a box back to a snapshot of it: what came after is lost. Name, id and time left stay.',
  effect: removes,
  input: z.object({ box: boxRef, snapshot: z.string().min(1).describe('name or id') }),
  output: z.object({ box: BoxState }),
  async handle({ box: ref, snapshot }, call) {
    const { handle, box } = await findBox(call.gibil, ref, call.signal)
    const restored = await handle.restore(snapshot).catch((error) => explained(error, snapshot, call, box.id))
    const state = boxState(restored)
    return { data: { box: state }, text: `${state.name} is as it was in ${snapshot}\n${boxLine(state)}` }
  },
})

export const boxFork: Tool = tool({
  name: 'box_fork',
  title: 'Begin boxes as another',
  description:
    'Makes boxes that begin as a box is now, or as a snapshot is, with all files and set up already: for several tries at once.',
  effect: adds,
  input: z.object({
    from: ForkBoxes.shape.from,
    name: boxFields.name,
    count: z.int().min(1).max(20).optional().describe('how many; they are a fleet then'),
    ttl: boxFields.ttl,
    idle: boxFields.idle,
  }),
  output: z.object({
    fleet: z.string().nullable(),
    boxes: z.array(BoxState),
    failures: z.array(z.object({ name: z.string(), message: z.string() })),
  }),
  async handle(input, call) {
    const forked = await call.gibil.fork(input).catch((error) => explained(error, input.from, call))
    const boxes = forked.boxes.map((box) => boxState(box))
    const failures = forked.failures.map(({ name, failure }) => ({ name, message: failure.message }))
    const lines = [...boxes.map(boxLine), ...failures.map(({ name, message }) => `${name} failed: ${message}`)]
    const fleet = forked.fleet === null ? [] : [`fleet ${forked.fleet}`]
    return { data: { fleet: forked.fleet, boxes, failures }, text: [...fleet, ...lines].join('\n') }
  },
})

export const snapshotDelete: Tool = tool({
  name: 'snapshot_delete',
  title: 'Delete a snapshot',
  description: 'Ends a snapshot for good and frees its disk. Boxes that began as it live on. Names are in box_show.',
  effect: removes,
  input: z.object({ snapshot: z.string().min(1).describe('name or id') }),
  output: z.object({ deleted: z.string() }),
  async handle({ snapshot }, call) {
    const { name } = await call.gibil.snapshots.remove(snapshot).catch((error) => explained(error, snapshot, call))
    return { data: { deleted: name }, text: `${name} is deleted` }
  },
})

/** Names that are there, when the one that was given is not. */
async function explained(error: unknown, ref: string, { gibil }: ToolCall, box?: string): Promise<never> {
  if (!GibilError.is(error) || error.code !== 'snapshot_not_found') throw error
  const [snapshots, boxes] = await Promise.all([gibil.snapshots.list({ box }), box ? [] : gibil.list()])
  const names = [...snapshots.map(({ name }) => name), ...boxes.map(refOf)]
  const near = nearest(ref, names)
  throw toolError(
    'snapshot_not_found',
    error.message,
    near
      ? `Did you mean "${near}"?`
      : names.length > 0
        ? `There are: ${names.slice(0, 20).join(', ')}.`
        : 'Make one with box_snapshot.',
  )
}
