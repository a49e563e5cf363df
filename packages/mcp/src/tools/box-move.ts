import {
  type Box,
  type BoxHandle,
  CreateBox,
  formatBytes,
  formatDuration,
  type MoveBox,
  parseMib,
  refOf,
} from '@gibil/sdk'
import * as z from 'zod'
import { BoxState, boxLine, boxState } from '../results/box.ts'
import { toolError } from '../results/error.ts'
import { findBox } from '../results/find.ts'
import { removes, type Tool, tool } from '../tool.ts'
import { boxFields, boxRef } from './fields.ts'
import { runningIn } from './jobs.ts'

export const boxMove: Tool = tool({
  name: 'box_move',
  title: 'Make a box another shape',
  description:
    'Makes a box one of another shape, place or size. Files, name, environment, time left and published ports go along; its processes end. When it fails, the box is as it was. confirm must repeat the name of the box.',
  effect: removes,
  input: z.object({
    box: boxRef,
    shape: z
      .enum(['container', 'microvm', 'vm', 'managed'])
      .optional()
      .describe('default: the one that it has; managed: a vm with all tools of a workstation'),
    provider: boxFields.provider.describe('local, or hetzner, which costs money; default: the one that it has'),
    size: boxFields.size,
    cpu: boxFields.cpu,
    memory: boxFields.memory,
    disk: z.string().optional().describe('such as "10G"; only with another shape or provider'),
    cloud: CreateBox.shape.cloud,
    confirm: z.string().optional().describe('the name of the box once more'),
  }),
  output: z.object({
    box: BoxState,
    shape: z.string(),
    provider: z.string(),
    carriedBytes: z.number().describe('0: its disk stayed where it was'),
    silentMs: z.number().describe('how long it answered nobody'),
    notes: z.array(z.string()).describe('what is not as before'),
    changed: z.array(z.string()).describe('files that changed each time they were read: may be neither old nor new'),
  }),
  async handle({ box: ref, confirm, memory, disk, ...rest }, { gibil, signal, say }) {
    const sized = {
      ...rest,
      ...(memory === undefined ? {} : { memoryMib: parseMib(memory) }),
      ...(disk === undefined ? {} : { diskMib: parseMib(disk) }),
    }
    const wish: MoveBox = Object.fromEntries(Object.entries(sized).filter(([, value]) => value !== undefined))
    if (Object.keys(wish).length === 0) {
      throw toolError('invalid_request', 'Move it to what?', 'Give shape, provider or size.')
    }
    const { handle, box } = await findBox(gibil, ref, signal)
    if (confirm !== refOf(box) && confirm !== ref) await refuse(handle, box, wish)
    // Not given the signal: a move that a client gave up is better finished than begun anew.
    const moved = await handle.move(wish, { onProgress: ({ phase, message }) => say(message ?? phase) })
    const state = boxState(moved.box)
    const { shape, provider } = moved.box
    const { bytes: carriedBytes, silentMs, notes, changed } = moved
    const place = provider === 'local' ? shape : `${shape} of ${provider}`
    const carried = carriedBytes === 0 ? '' : `, ${formatBytes(carriedBytes)} carried over`
    return {
      data: { box: state, shape, provider, carriedBytes, silentMs, notes, changed },
      text: [
        `${state.name} is a ${place}${carried}; it answered nobody for ${formatDuration(silentMs)}`,
        ...notes,
        ...changed,
        boxLine(state),
      ].join('\n'),
    }
  },
})

/** Says what would end. */
async function refuse(handle: BoxHandle, box: Box, wish: MoveBox): Promise<never> {
  const running = box.status === 'running' ? await runningIn(handle) : []
  const lines = running.slice(0, 10).map((line) => `"${line}"`)
  const ends = lines.length === 0 ? '' : ` Running now: ${lines.join(', ')}${running.length > 10 ? ', …' : ''}.`
  const costs = wish.provider !== undefined && wish.provider !== 'local' ? ' It costs money there.' : ''
  throw toolError(
    'invalid_request',
    `Nothing was moved: what runs in ${refOf(box)} would be ended, since files go along and processes do not.${ends}${costs}`,
    `If that is meant, call box_move again with confirm "${refOf(box)}".`,
  )
}
