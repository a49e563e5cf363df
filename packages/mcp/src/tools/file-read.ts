import { type BoxHandle, formatBytes } from '@gibil/sdk'
import * as z from 'zod'
import { wholeBegin, wholeEnd } from '../results/bounded.ts'
import { BoxState, boxLine, boxState } from '../results/box.ts'
import { toolError } from '../results/error.ts'
import { findBox } from '../results/find.ts'
import { looks, type Tool, tool } from '../tool.ts'
import { boxRef, maxBytes } from './fields.ts'
import { kindOf, pictureOf } from './file-kind.ts'
import { explainMissing, inBox } from './file-path.ts'

const largestPicture = 1024 * 1024

export const fileRead: Tool = tool({
  name: 'file_read',
  title: 'Read a file',
  description:
    'Reads a text file of a box: from its beginning, from a line, or from a byte, as much as maxBytes allows. Says so when it is not text; a PNG, JPEG, GIF or WebP is shown.',
  effect: looks,
  input: z.object({
    box: boxRef,
    path: z.string().min(1).describe('absolute, from ~, or relative to where commands run'),
    line: z.int().min(1).optional().describe('first line, counted from 1'),
    lines: z.int().min(1).optional().describe('how many'),
    byte: z.int().min(0).optional().describe('first byte instead of a line: for files with long lines'),
    maxBytes,
  }),
  output: z.object({
    box: BoxState,
    path: z.string(),
    bytes: z.int().describe('of the whole file'),
    binary: z.string().nullable().describe('what it is, when it is no text'),
    text: z.string(),
    line: z.int().nullable().describe('number of the first line in text'),
    nextLine: z.int().nullable().describe('where to go on; null: all of it was read, or go on by nextByte'),
    nextByte: z.int().nullable(),
  }),
  async handle({ box: ref, path: given, line = 1, lines, byte, maxBytes: most }, { gibil, signal }) {
    const { handle } = await findBox(gibil, ref, signal)
    const path = await inBox(handle, given)
    const info = await handle.files.stat(path, { signal }).catch((error) => explainMissing(handle, path, error))
    if (info.kind === 'directory') {
      throw toolError('file_conflict', `${info.path} is a directory.`, 'Call file_list for what is in it.')
    }
    const box = boxState(await handle.refresh())
    const about = { box, path: info.path, bytes: info.size }
    const head = await handle.files.read(path, { end: 8191, signal, maxBytes: 65_536 }).catch(() => Buffer.alloc(0))
    const binary = kindOf(head)
    if (binary !== null) {
      const none = { text: '', line: null, nextLine: null, nextByte: null }
      const mimeType = pictureOf(head)
      const small = mimeType !== null && info.size <= largestPicture
      const base64 = small ? (await handle.files.read(path, { signal })).toString('base64') : ''
      return {
        data: { ...about, binary, ...none },
        text: `${info.path} is no text: ${binary}, ${formatBytes(info.size)}. Look into it with box_run (file, xxd, strings).\n${boxLine(box)}`,
        ...(small ? { image: { base64, mimeType } } : {}),
      }
    }
    const part =
      byte === undefined
        ? await linesOf(handle, path, line, lines ?? Number.POSITIVE_INFINITY, most, signal)
        : await bytesOf(handle, path, byte, most, info.size, signal)
    const next =
      part.nextLine !== null
        ? `[more: line ${part.nextLine}]`
        : part.nextByte !== null
          ? `[more: byte ${part.nextByte} of ${info.size}]`
          : ''
    return {
      data: { ...about, binary: null, ...part },
      text: [part.text, next, boxLine(box)].filter(Boolean).join('\n'),
    }
  },
})

interface Part {
  readonly text: string
  readonly line: number | null
  readonly nextLine: number | null
  readonly nextByte: number | null
}

/** Read as a stream up to where it is enough: what is before the first line is passed over and not kept. */
async function linesOf(
  handle: BoxHandle,
  path: string,
  first: number,
  count: number,
  most: number,
  signal: AbortSignal,
): Promise<Part> {
  const source = await handle.files.stream(path, { signal })
  const kept: Buffer[] = []
  let keptBytes = 0
  let line = 1
  let passed = 0
  let ended: 'file' | 'lines' | 'bytes' = 'file'
  reading: for await (const chunk of source as AsyncIterable<Buffer>) {
    let at = 0
    while (at < chunk.length) {
      const newline = chunk.indexOf(10, at)
      const end = newline === -1 ? chunk.length : newline + 1
      if (line >= first + count) {
        ended = 'lines'
        break reading
      }
      if (line >= first) {
        const piece = chunk.subarray(at, Math.min(end, at + most - keptBytes))
        kept.push(piece)
        keptBytes += piece.length
        if (piece.length < end - at) {
          ended = 'bytes'
          break reading
        }
      } else passed += end - at
      if (newline !== -1) line += 1
      at = end
    }
  }
  source.destroy()
  if (keptBytes === 0 && first > line) {
    throw toolError(
      'invalid_request',
      `The file has ${line} lines, so there is no line ${first}.`,
      `Give a line up to ${line}.`,
    )
  }
  const all = Buffer.concat(kept)
  if (ended !== 'bytes')
    return { text: all.toString('utf8'), line: first, nextLine: ended === 'lines' ? line : null, nextByte: null }
  // Whole lines, so that the next call goes on at one; of a line that is longer than all the room, as much as there is room for.
  const lastNewline = all.lastIndexOf(10)
  const whole = lastNewline === -1 ? wholeEnd(all) : all.subarray(0, lastNewline + 1)
  return {
    text: whole.toString('utf8'),
    line: first,
    nextLine: lastNewline === -1 ? null : line,
    nextByte: lastNewline === -1 ? passed + whole.length : null,
  }
}

async function bytesOf(
  handle: BoxHandle,
  path: string,
  start: number,
  most: number,
  size: number,
  signal: AbortSignal,
): Promise<Part> {
  if (start >= size && size > 0) {
    throw toolError(
      'invalid_request',
      `The file has ${size} bytes, so there is no byte ${start}.`,
      'Give a smaller one.',
    )
  }
  const raw = await handle.files.read(path, { start, end: start + most - 1, signal })
  const part = start + raw.length < size ? wholeEnd(raw) : raw
  const end = start + part.length
  return { text: wholeBegin(part).toString('utf8'), line: null, nextLine: null, nextByte: end < size ? end : null }
}
