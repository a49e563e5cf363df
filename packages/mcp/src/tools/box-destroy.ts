import { GibilError, refOf } from '@gibil/sdk'
import * as z from 'zod'
import { toolError } from '../results/error.ts'
import { endOf, findBox } from '../results/find.ts'
import { removes, type Tool, type ToolCall, tool } from '../tool.ts'

interface Target {
  /** What `confirm` has to repeat. */
  readonly name: string
  readonly boxes: readonly string[]
  destroy(): Promise<unknown>
}

export const boxDestroy: Tool = tool({
  name: 'box_destroy',
  title: 'Destroy a box',
  description:
    'Ends a box, or all of a fleet, and all that is in it for good. Bring work out first. confirm must repeat the name of the box, or the id of the fleet.',
  effect: removes,
  input: z.object({
    box: z.string().optional().describe('name or id of the box'),
    fleet: z.string().optional().describe('id of a fleet instead: destroys all of its boxes'),
    confirm: z.string().optional().describe('the name of the box, or the id of the fleet, once more'),
  }),
  output: z.object({ destroyed: z.array(z.string()), alreadyGone: z.boolean() }),
  async handle({ box, fleet, confirm }, call) {
    const target = await targetOf(box, fleet, call)
    if (target === undefined) return { data: { destroyed: [], alreadyGone: true }, text: `${box} was gone already.` }
    const { name, boxes } = target
    if (confirm !== name && (confirm === undefined || confirm !== (box ?? fleet))) {
      throw toolError(
        'invalid_request',
        `Nothing was destroyed: this would end ${boxes.length === 1 ? `the box ${boxes[0]}` : `${boxes.length} boxes (${boxes.join(', ')})`} and all files in it for good.`,
        `If that is meant, call box_destroy again with confirm "${name}".`,
      )
    }
    await target.destroy()
    return { data: { destroyed: [...boxes], alreadyGone: false }, text: `Destroyed: ${boxes.join(', ')}.` }
  },
})

/** Undefined: it was there and is gone, so that a call that is repeated is no failure. */
async function targetOf(
  box: string | undefined,
  fleet: string | undefined,
  { gibil, signal }: ToolCall,
): Promise<Target | undefined> {
  if ((box === undefined) === (fleet === undefined)) {
    throw toolError('invalid_request', 'Exactly one of box and fleet is needed.', 'Call again with one of them.')
  }
  if (fleet !== undefined) {
    const { boxes } = await gibil.fleets.get(fleet, { signal })
    return { name: fleet, boxes: boxes.map(refOf), destroy: () => gibil.fleets.destroy(fleet) }
  }
  const ref = box ?? ''
  try {
    const found = await findBox(gibil, ref, signal)
    const name = refOf(found.box)
    return { name, boxes: [name], destroy: () => found.handle.destroy() }
  } catch (error) {
    if (GibilError.is(error) && error.code === 'box_not_found' && (await endOf(gibil, ref))) return undefined
    throw error
  }
}
