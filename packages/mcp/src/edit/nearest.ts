import { distance } from 'fastest-levenshtein'

const shownLines = 20
/** Lines longer than this are compared by their beginning. */
const comparedLetters = 300

/** The part of a text that looks most like the wanted lines, with line numbers, and how it differs as far as that is plain. */
export function describeNearest(lines: readonly string[], wanted: readonly string[]): string {
  const [anchor, at] = longest(wanted)
  const line = anchor === '' ? -1 : mostAlike(lines, anchor)
  if (line === -1) return 'Nothing in the file looks like it.'
  const start = Math.max(0, line - at)
  const window = lines.slice(start, start + Math.min(wanted.length, shownLines))
  const squeezed = (part: readonly string[]): string => part.map((one) => one.trim().replace(/\s+/g, ' ')).join('\n')
  const spaces = squeezed(lines.slice(start, start + wanted.length)) === squeezed(wanted)
  const shown = window.map((text, index) => `${start + index + 1}: ${text.slice(0, comparedLetters)}`).join('\n')
  return `${spaces ? 'Only white space differs' : 'The nearest'}, from line ${start + 1}:\n${shown}`
}

function longest(lines: readonly string[]): readonly [text: string, index: number] {
  const at = lines.reduce(
    (best, line, index) => (line.trim().length > (lines[best] ?? '').trim().length ? index : best),
    0,
  )
  return [(lines[at] ?? '').trim().slice(0, comparedLetters), at]
}

/** -1 when every line differs in more than half of its letters. */
function mostAlike(lines: readonly string[], wanted: string): number {
  let best = -1
  let least = wanted.length / 2
  for (const [index, line] of lines.entries()) {
    const text = line.trim().slice(0, comparedLetters)
    // No closer than this, whatever the letters are.
    if (Math.abs(text.length - wanted.length) >= least) continue
    const differs = distance(text, wanted)
    if (differs >= least) continue
    best = index
    least = differs
    if (differs === 0) break
  }
  return best
}
