import { createHash } from 'node:crypto'
import { type BoxHandle, GibilError } from '@gibil/sdk'
import * as z from 'zod'
import { applyPatch } from '../edit/patch.ts'
import { type Edited, replaceAll } from '../edit/replace.ts'
import { BoxState, boxLine, boxState } from '../results/box.ts'
import { toolError } from '../results/error.ts'
import { findBox } from '../results/find.ts'
import { adds, type Tool, tool } from '../tool.ts'
import { boxRef } from './fields.ts'
import { explainMissing, inBox } from './file-path.ts'

const largestFile = 8 * 1024 * 1024
/** Others that write in between make it begin anew; so often in a row nobody does. */
const tries = 8

export const fileEdit: Tool = tool({
  name: 'file_edit',
  title: 'Edit a file',
  description:
    'Changes a text file in a box, all of what is asked or nothing: by edits, each an exact text that must be there once (or all), or by patch, a unified diff. Safe beside others that edit the same file.',
  effect: { ...adds, destructiveHint: true },
  input: z.object({
    box: boxRef,
    path: z.string().min(1),
    edits: z
      .array(
        z.object({
          old: z.string().min(1).describe('exactly as in the file, with its white space'),
          new: z.string(),
          all: z.boolean().default(false).describe('replace it wherever it is'),
        }),
      )
      .min(1)
      .optional(),
    patch: z.string().min(1).optional().describe('unified diff of this file, instead of edits'),
  }),
  output: z.object({
    box: BoxState,
    path: z.string(),
    changedAtLines: z.array(z.int()).describe('where, in the file as it is now'),
    bytes: z.int(),
  }),
  async handle({ box: ref, path: given, edits, patch }, { gibil, signal }) {
    if ((edits === undefined) === (patch === undefined)) {
      throw toolError('invalid_request', 'Exactly one of edits and patch is needed.', 'Call again with one of them.')
    }
    const { handle } = await findBox(gibil, ref, signal)
    const path = await inBox(handle, given)
    const change = (text: string): Edited =>
      patch === undefined ? replaceAll(text, edits ?? []) : applyPatch(text, patch)
    const { edited, info } = await changeFile(handle, path, change, signal)
    const box = boxState(await handle.refresh())
    return {
      data: { box, path: info.path, changedAtLines: [...edited.lines], bytes: info.size },
      text: `${info.path} changed at line ${edited.lines.join(', ')}\n${boxLine(box)}`,
    }
  },
})

/** Reads, changes and replaces; when another has written meanwhile, it is done anew with what that one wrote. */
async function changeFile(handle: BoxHandle, path: string, change: (text: string) => Edited, signal: AbortSignal) {
  for (let attempt = 1; ; attempt += 1) {
    const content = await handle.files
      .read(path, { maxBytes: largestFile, signal })
      .catch((error: unknown) => explainMissing(handle, path, error))
    const edited = change(textOf(content, path))
    const ifHash = createHash('sha256').update(content).digest('hex')
    try {
      return { edited, info: await handle.files.write(path, edited.text, { ifHash, signal }) }
    } catch (error) {
      if (!GibilError.is(error) || error.code !== 'file_conflict' || attempt === tries) throw error
    }
  }
}

function textOf(content: Buffer, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content)
  } catch {
    throw toolError(
      'file_conflict',
      `${path} is no text in UTF-8, so it cannot be edited here.`,
      'Change it with a program of its kind by box_run, or replace it with file_write.',
    )
  }
}
