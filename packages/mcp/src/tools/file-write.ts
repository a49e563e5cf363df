import * as z from 'zod'
import { BoxState, boxLine, boxState } from '../results/box.ts'
import { toolError } from '../results/error.ts'
import { findBox } from '../results/find.ts'
import { removes, type Tool, tool } from '../tool.ts'
import { boxRef } from './fields.ts'
import { inBox } from './file-path.ts'

export const fileWrite: Tool = tool({
  name: 'file_write',
  title: 'Write a file',
  description:
    'Makes a file in a box, or replaces all of one; its directories are made. To change a part of a file use file_edit.',
  effect: removes,
  input: z.object({
    box: boxRef,
    path: z.string().min(1),
    content: z.string(),
    encoding: z.enum(['utf8', 'base64']).default('utf8'),
    executable: z.boolean().optional(),
    createOnly: z.boolean().default(false).describe('refuse when there is one already'),
    user: z.string().optional().describe('owner; default: agent'),
  }),
  output: z.object({ box: BoxState, path: z.string(), bytes: z.int() }),
  async handle({ box: ref, path: given, content, encoding, executable, createOnly, user }, { gibil, signal }) {
    const { handle } = await findBox(gibil, ref, signal)
    const data = Buffer.from(content, encoding)
    if (encoding === 'base64' && data.toString('base64').replace(/=+$/, '') !== content.replace(/\s|=+$/g, '')) {
      throw toolError(
        'invalid_request',
        'content is no base64.',
        'Give it in standard base64, or as text without encoding.',
      )
    }
    const info = await handle.files.write(await inBox(handle, given), data, {
      user,
      signal,
      ...(executable === undefined ? {} : { mode: executable ? 0o755 : 0o644 }),
      ...(createOnly ? { ifHash: 'none' } : {}),
    })
    const box = boxState(await handle.refresh())
    return {
      data: { box, path: info.path, bytes: info.size },
      text: `wrote ${info.size} bytes to ${info.path}\n${boxLine(box)}`,
    }
  },
})
