import { toolError } from '../results/error.ts'
import { describeNearest } from './nearest.ts'

export interface Replacement {
  readonly old: string
  readonly new: string
  /** Every place; else it must be one. */
  readonly all?: boolean | undefined
}

export interface Edited {
  readonly text: string
  /** Where it changed: first lines of the new text, counted from 1. */
  readonly lines: readonly number[]
}

/** Does replacements one after another, all or none. Throws `file_conflict` for one that does not fit, saying what is there instead. */
export function replaceAll(text: string, replacements: readonly Replacement[]): Edited {
  const lines: number[] = []
  let result = text
  for (const [index, replacement] of replacements.entries()) {
    const old = likeFile(result, replacement.old)
    const fresh = likeFile(result, replacement.new)
    const places = placesOf(result, old)
    const which = replacements.length === 1 ? 'The text to replace' : `The text to replace of edit ${index + 1}`
    if (places.length === 0) {
      throw toolError(
        'file_conflict',
        `${which} is not in the file. ${describeNearest(result.split('\n'), replacement.old.split('\n'))}`,
        'Nothing was changed. Take the text exactly as it is in the file, and call again with all edits.',
      )
    }
    if (places.length > 1 && !replacement.all) {
      const at = places.slice(0, 10).map((place) => lineOf(result, place))
      throw toolError(
        'file_conflict',
        `${which} is in the file ${places.length} times, at the lines ${at.join(', ')}${places.length > 10 ? ' …' : ''}.`,
        'Nothing was changed. Take more lines around the one that is meant, or set all.',
      )
    }
    lines.push(...places.slice(0, 10).map((place) => lineOf(result, place)))
    result = result.split(old).join(fresh)
  }
  return { text: result, lines }
}

/** A model writes \n; a file of Windows has \r\n. */
const likeFile = (file: string, text: string): string =>
  file.includes('\r\n') && !text.includes('\r') ? text.replaceAll('\n', '\r\n') : text

function placesOf(text: string, part: string): number[] {
  const places: number[] = []
  for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + part.length)) places.push(at)
  return places
}

const lineOf = (text: string, at: number): number => text.slice(0, at).split('\n').length
