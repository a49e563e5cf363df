import { isDeepStrictEqual } from 'node:util'
import { GibilError } from '@gibil/sdk'
import { applyEdits, modify, type ParseError, parse, printParseErrorCode } from 'jsonc-parser'
import { broken, type Entry, lineOf, withoutEntry } from './entry.ts'

/**
 * The text of a JSON config with our entry below a key, all else as it was: order, comments, white space. Throws `invalid_config` for a text that
 * cannot be read, which is nothing to write into.
 */
export function withJsonEntry(path: string, text: string, key: string, name: string, entry: Entry): string {
  const before = read(path, text)
  const servers = before[key]
  if (servers !== undefined && !isRecord(servers)) throw broken(path, 1, `"${key}" is no object`)
  if (isRecord(servers) && isDeepStrictEqual(servers[name], entry)) return text
  const indent = /^([ \t]+)"/m.exec(text)?.[1]
  const formattingOptions = {
    insertSpaces: indent === undefined || indent.startsWith(' '),
    tabSize: indent === undefined || indent.startsWith('\t') ? 2 : indent.length,
    eol: text.includes('\r\n') ? '\r\n' : '\n',
  }
  const base = text.trim() === '' ? '{}\n' : text
  const result = applyEdits(base, modify(base, [key, name], entry, { formattingOptions }))
  const after = read(path, result)
  if (!isDeepStrictEqual(withoutEntry(after, key, name), withoutEntry(before, key, name))) {
    throw new GibilError('internal', `${path} would have lost something, and was left as it was.`)
  }
  return result
}

function read(path: string, text: string): Record<string, unknown> {
  if (text.trim() === '') return {}
  const errors: ParseError[] = []
  const value: unknown = parse(text, errors, { allowTrailingComma: true, disallowComments: false })
  const [error] = errors
  if (error) throw broken(path, lineOf(text, error.offset), printParseErrorCode(error.error))
  if (!isRecord(value)) throw broken(path, 1, 'it is no object')
  return value
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
