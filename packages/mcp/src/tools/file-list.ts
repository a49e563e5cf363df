import { posix } from 'node:path'
import type { FileInfo } from '@gibil/sdk'
import * as z from 'zod'
import { BoxState, boxLine, boxState } from '../results/box.ts'
import { findBox } from '../results/find.ts'
import { looks, type Tool, tool } from '../tool.ts'
import { boxRef } from './fields.ts'
import { explainMissing, inBox } from './file-path.ts'

const pageEntries = 500
/** What nobody looks for below a directory, unless they ask for it. */
const skipped = /(^|\/)(\.git|node_modules|\.venv|__pycache__)\/./

export const fileList: Tool = tool({
  name: 'file_list',
  title: 'List a directory',
  description: 'What is in a directory of a box, and with depth also below it (there without .git and node_modules).',
  effect: looks,
  input: z.object({
    box: boxRef,
    path: z.string().min(1).default('.').describe('default: where commands run'),
    depth: z.int().min(1).max(10).default(1),
    cursor: z.string().optional().describe('nextCursor of the page before'),
  }),
  output: z.object({
    box: BoxState,
    path: z.string(),
    entries: z.array(z.object({ path: z.string(), kind: z.string(), bytes: z.int(), target: z.string().optional() })),
    total: z.int(),
    nextCursor: z.string().nullable(),
  }),
  async handle({ box: ref, path: given, depth, cursor }, { gibil, signal }) {
    const { handle } = await findBox(gibil, ref, signal)
    const path = await inBox(handle, given)
    const top = await handle.files.stat(path, { signal }).catch((error) => explainMissing(handle, path, error))
    const found = top.kind === 'directory' ? await handle.files.list(path, { depth, signal }) : [top]
    const entries = found.map((info) => entryOf(info, top)).filter((entry) => !skipped.test(entry.path))
    const start = Math.max(0, Number(cursor ?? 0) || 0)
    const page = entries.slice(start, start + pageEntries)
    const nextCursor = start + pageEntries < entries.length ? String(start + pageEntries) : null
    const box = boxState(await handle.refresh())
    const more = nextCursor === null ? '' : `[${entries.length - start - pageEntries} more: cursor "${nextCursor}"]`
    const lines = page.map(({ path: name, kind, bytes, target }) =>
      kind === 'directory' ? `${name}/` : kind === 'symlink' ? `${name} -> ${target}` : `${name} ${bytes}`,
    )
    return {
      data: { box, path: top.path, entries: page, total: entries.length, nextCursor },
      text: [`${top.path}:`, ...(lines.length > 0 ? lines : ['(empty)']), more, boxLine(box)]
        .filter(Boolean)
        .join('\n'),
    }
  },
})

const entryOf = ({ path, kind, size, target }: FileInfo, top: FileInfo) => ({
  path: posix.relative(top.kind === 'directory' ? top.path : posix.dirname(top.path), path),
  kind,
  bytes: size,
  ...(target === undefined ? {} : { target }),
})
