import { formatBytes } from '@gibil/sdk'
import * as z from 'zod'
import { BoxState, boxLine, boxState } from '../results/box.ts'
import { findBox } from '../results/find.ts'
import { adds, type Tool, tool } from '../tool.ts'
import { boxRef } from './fields.ts'

export const imageSave: Tool = tool({
  name: 'image_save',
  title: 'Save a box as an image',
  description:
    'Makes an image of the files of a box that runs, for boxes of every shape: give its name to box_create. The box stands still meanwhile, and goes on. To go back, or for copies of the same shape, box_snapshot is quicker.',
  effect: adds,
  input: z.object({ box: boxRef, name: z.string().optional().describe('of the image; default that of the box') }),
  output: z.object({ box: BoxState, image: z.string(), bytes: z.int() }),
  async handle({ box: ref, name }, { gibil, signal, say }) {
    const { handle, box } = await findBox(gibil, ref, signal)
    const image = await gibil.images.save(
      { box: box.id, ...(name === undefined ? {} : { name }) },
      { onProgress: ({ phase, message }) => say(message ?? phase) },
    )
    const state = boxState(await handle.refresh())
    return {
      data: { box: state, image: image.name, bytes: image.sizeBytes },
      text: `saved as the image ${image.name}, ${formatBytes(image.sizeBytes)}\n${boxLine(state)}`,
    }
  },
})
