import { GibilError } from '@gibil/sdk'
import * as z from 'zod'
import { BoxState, boxLine, boxState } from '../results/box.ts'
import { findBox } from '../results/find.ts'
import { looks, type Tool, tool } from '../tool.ts'
import { boxRef } from './fields.ts'

export const boxShow: Tool = tool({
  name: 'box_show',
  title: 'Show a box',
  description:
    'What a box is, why it failed if it did, the ports that programs in it listen on, and its snapshots. Does not wake it.',
  effect: looks,
  input: z.object({ box: boxRef }),
  output: z.object({
    box: BoxState,
    shape: z.string(),
    image: z.string(),
    cpu: z.number(),
    memoryMib: z.number(),
    diskMib: z.number(),
    repo: z.string().nullable(),
    workdir: z.string(),
    fleet: z.string().nullable(),
    failure: z.object({ message: z.string(), hint: z.string(), log: z.string() }).nullable(),
    waitsFor: z.string().nullable().describe('what a box that does not answer waits for'),
    listening: z
      .array(z.object({ port: z.int(), process: z.string().nullable() }))
      .describe('empty also while it does not run'),
    published: z.array(z.object({ port: z.int(), url: z.string().nullable(), public: z.boolean() })),
    snapshots: z.array(z.object({ name: z.string(), kind: z.string(), createdAt: z.string() })),
  }),
  async handle({ box: ref }, { gibil, signal }) {
    const { handle, box } = await findBox(gibil, ref, signal)
    const [ports, published, snapshots] = await Promise.all([
      box.status === 'running' ? handle.ports({ signal }).catch(nothing) : [],
      handle.published({ signal }),
      gibil.snapshots.list({ box: box.id, signal }),
    ])
    const state = boxState(box)
    const data = {
      box: state,
      shape: box.shape,
      image: box.image,
      ...box.size,
      repo: box.repo?.source ?? null,
      workdir: box.repo?.path ?? '~',
      fleet: box.fleet,
      failure: box.failure && { message: box.failure.message, hint: box.failure.hint, log: box.failure.log ?? '' },
      waitsFor: box.waitsFor,
      listening: ports.map(({ port, process }) => ({ port, process })),
      published: published.map(({ port, url, public: open }) => ({ port, url, public: open })),
      snapshots: snapshots.map(({ name, kind, createdAt }) => ({ name, kind, createdAt })),
    }
    const { box: _, ...rest } = data
    return { data, text: `${JSON.stringify(rest, null, 1)}\n${boxLine(state)}` }
  },
})

/** A box that cannot be asked is still worth showing. */
function nothing(error: unknown): never[] {
  if (GibilError.is(error)) return []
  throw error
}
