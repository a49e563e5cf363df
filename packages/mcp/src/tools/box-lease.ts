import * as z from 'zod'
import { BoxState, boxLine, boxState } from '../results/box.ts'
import { findBox } from '../results/find.ts'
import { sets, type Tool, tool } from '../tool.ts'
import { boxFields, boxRef } from './fields.ts'

const output = z.object({ box: BoxState })

export const boxExtend: Tool = tool({
  name: 'box_extend',
  title: 'Give a box more time',
  description: 'A new time to live, counted from now.',
  effect: sets,
  input: z.object({ box: boxRef, ttl: boxFields.ttl.unwrap().describe('"90m", "2h", "7d", or a number of minutes') }),
  output,
  async handle({ box: ref, ttl }, { gibil, signal }) {
    const { handle } = await findBox(gibil, ref, signal)
    const box = boxState(await handle.extend(ttl, { signal }))
    return { data: { box }, text: boxLine(box) }
  },
})

export const boxPause: Tool = tool({
  name: 'box_pause',
  title: 'Let a box sleep',
  description:
    'Freezes a box, its memory kept; it wakes when it is used. A shape that cannot is stopped with stop true: its disk is kept, its processes end.',
  effect: sets,
  input: z.object({
    box: boxRef,
    stop: z.boolean().default(false).describe('end its processes instead, keep its disk'),
  }),
  output,
  async handle({ box: ref, stop }, { gibil, signal }) {
    const { handle } = await findBox(gibil, ref, signal)
    const box = boxState(await (stop ? handle.stop({ signal }) : handle.pause({ signal })))
    return { data: { box }, text: boxLine(box) }
  },
})

export const boxResume: Tool = tool({
  name: 'box_resume',
  title: 'Wake or start a box',
  description: 'Lets a paused box go on where it was, or starts a stopped one on its disk. Fine when it runs.',
  effect: sets,
  input: z.object({ box: boxRef }),
  output,
  async handle({ box: ref }, { gibil, signal, say }) {
    const { handle, box: before } = await findBox(gibil, ref, signal)
    const onProgress = ({ phase }: { readonly phase: string }): void => say(phase)
    const work = async () => {
      if (before.status === 'running') return before
      return before.status === 'paused' ? handle.resume({ signal }) : handle.start({ onProgress, signal })
    }
    const box = boxState(await work())
    return { data: { box }, text: boxLine(box) }
  },
})
