import * as z from 'zod'
import { BoxState, boxState } from '../results/box.ts'
import { looks, type Tool, tool } from '../tool.ts'

const pageBoxes = 50

export const boxList: Tool = tool({
  name: 'box_list',
  title: 'List boxes',
  description: 'All boxes, oldest first, with the time they have left and what they cost.',
  effect: looks,
  input: z.object({
    fleet: z.string().optional().describe('only those of this fleet'),
    cursor: z.string().optional().describe('nextCursor of the page before'),
  }),
  output: z.object({
    boxes: z.array(
      BoxState.extend({ shape: z.string(), image: z.string(), size: z.string(), fleet: z.string().nullable() }),
    ),
    total: z.int(),
    nextCursor: z.string().nullable().describe('null: this was the last page'),
  }),
  async handle({ fleet, cursor }, { gibil, signal }) {
    const all = await gibil.list({ fleet, signal })
    const start = Math.max(0, Number(cursor ?? 0) || 0)
    const boxes = all.slice(start, start + pageBoxes).map((box) => ({
      ...boxState(box),
      shape: box.shape,
      image: box.image,
      size: `${box.size.cpu} CPU, ${Math.round(box.size.memoryMib / 102.4) / 10} GiB`,
      fleet: box.fleet,
    }))
    const nextCursor = start + pageBoxes < all.length ? String(start + pageBoxes) : null
    const lines = boxes.map(
      (box) =>
        `${box.name}: ${box.status}, ${box.readiness}, ${box.shape} of ${box.image}, ${box.size}, ${box.timeLeft} left, costs ${box.cost}` +
        (box.fleet === null ? '' : `, fleet ${box.fleet}`),
    )
    const more =
      nextCursor === null ? [] : [`${all.length - start - pageBoxes} more: call again with cursor "${nextCursor}"`]
    return {
      data: { boxes, total: all.length, nextCursor },
      text: [...lines, ...more].join('\n') || 'There are no boxes. Call box_create to make one.',
    }
  },
})
