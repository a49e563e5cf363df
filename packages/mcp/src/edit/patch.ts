import { toolError } from '../results/error.ts'
import { describeNearest } from './nearest.ts'
import type { Edited } from './replace.ts'

interface Hunk {
  /** Where it says that it begins, counted from 0; undefined where it does not say. */
  readonly start: number | undefined
  readonly old: readonly string[]
  readonly fresh: readonly string[]
}

/**
 * Applies a unified diff of one file, all of it or nothing. A hunk goes to where its lines are, nearest to where it says; its counts are not looked
 * at, since models count badly. Throws `invalid_request`, `file_conflict`.
 */
export function applyPatch(text: string, patch: string): Edited {
  const hunks = parseHunks(patch)
  const crlf = text.includes('\r\n')
  const lines = (crlf ? text.replaceAll('\r\n', '\n') : text).split('\n')
  const changed: number[] = []
  let shift = 0
  for (const [index, hunk] of hunks.entries()) {
    const at = placeOf(lines, hunk, shift, index + 1)
    lines.splice(at, hunk.old.length, ...hunk.fresh)
    shift += hunk.fresh.length - hunk.old.length
    changed.push(at + 1)
  }
  return { text: lines.join(crlf ? '\r\n' : '\n'), lines: changed }
}

function parseHunks(patch: string): Hunk[] {
  const hunks: { start: number | undefined; old: string[]; fresh: string[] }[] = []
  const lines = patch.replaceAll('\r\n', '\n').replace(/\n$/, '').split('\n')
  let files = 0
  let inHead = true
  for (const [at, line] of lines.entries()) {
    const hunk = hunks.at(-1)
    if (line.startsWith('@@')) {
      const start = /^@@ -(\d+)/.exec(line)?.[1]
      hunks.push({ start: start === undefined ? undefined : Math.max(0, Number(start) - 1), old: [], fresh: [] })
      inHead = false
      continue
    }
    inHead ||= beginsFile(lines, at)
    if (inHead) files += line.startsWith('+++ ') ? 1 : 0
    else if (line.startsWith('+')) hunk?.fresh.push(line.slice(1))
    else if (line.startsWith('-')) hunk?.old.push(line.slice(1))
    else if (!line.startsWith('\\')) {
      // An empty line of context loses its space on the way through many programs.
      hunk?.old.push(line.slice(1))
      hunk?.fresh.push(line.slice(1))
    }
  }
  const hint = 'Give a unified diff of one file with @@ lines, or edits with old and new text.'
  if (hunks.length === 0) throw toolError('invalid_request', 'The patch has no part that begins with @@.', hint)
  if (files > 1)
    throw toolError('invalid_request', `The patch is of ${files} files.`, `${hint} Call once for each file.`)
  return hunks
}

/** Whether the head of another file begins: behind a hunk, `--- x` alone may be a line that goes. */
const beginsFile = (lines: readonly string[], at: number): boolean =>
  /^diff --git /.test(lines[at] ?? '') ||
  (/^--- \S/.test(lines[at] ?? '') && /^\+\+\+ \S/.test(lines[at + 1] ?? '') && /^@@/.test(lines[at + 2] ?? ''))

function placeOf(lines: readonly string[], { start, old }: Hunk, shift: number, number: number): number {
  const wanted = start === undefined ? undefined : start + shift
  // Lines that are only added say by their number alone where they go.
  if (old.length === 0) return Math.min(wanted === undefined ? lines.length : wanted + 1, lines.length)
  const places: number[] = []
  for (let at = 0; at + old.length <= lines.length; at += 1) {
    if (old.every((line, index) => lines[at + index] === line)) places.push(at)
  }
  const [first] = places
  if (first === undefined) {
    throw toolError(
      'file_conflict',
      `Hunk ${number} of the patch does not apply: its lines are not in the file. ${describeNearest(lines, old)}`,
      'Nothing was changed. Make the patch of the file as it is now, or use edits with old and new text.',
    )
  }
  if (places.length > 1 && wanted === undefined) {
    throw toolError(
      'file_conflict',
      `Hunk ${number} of the patch fits in ${places.length} places, at the lines ${places
        .slice(0, 10)
        .map((at) => at + 1)
        .join(', ')}.`,
      'Nothing was changed. Take more lines of context, or say the line: @@ -12 +12 @@.',
    )
  }
  return places.reduce((best, at) => (Math.abs(at - (wanted ?? 0)) < Math.abs(best - (wanted ?? 0)) ? at : best), first)
}
