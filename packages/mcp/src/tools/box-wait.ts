import * as z from 'zod'
import { BoxState, boxLine, boxState } from '../results/box.ts'
import { findBox } from '../results/find.ts'
import { looks, type Tool, tool } from '../tool.ts'
import { boxRef, waitSeconds } from './fields.ts'
import { untilReady } from './until-ready.ts'

export const boxWait: Tool = tool({
  name: 'box_wait',
  title: 'Wait until a box is ready',
  description: 'Waits until a box runs, or until its repository is there and set up. Says why when its set-up failed.',
  effect: looks,
  input: z.object({
    box: boxRef,
    until: z.enum(['running', 'ready']).default('ready'),
    waitSeconds: waitSeconds(45, 300),
  }),
  output: z.object({ box: BoxState, ready: z.boolean().describe('false: call again'), setupLog: z.string() }),
  async handle({ box: ref, until, waitSeconds: seconds }, call) {
    const { handle } = await findBox(call.gibil, ref, call.signal)
    const { box, ready, setupLog } = await untilReady(handle, until, seconds, call)
    const state = boxState(box)
    const line = ready ? `${state.name} is ${until}` : `${state.name} is not ${until} yet: call box_wait again`
    return { data: { box: state, ready, setupLog }, text: [line, setupLog, boxLine(state)].filter(Boolean).join('\n') }
  },
})
