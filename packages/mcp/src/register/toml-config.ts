import { isDeepStrictEqual } from 'node:util'
import { parse, stringify, TomlError } from 'smol-toml'
import { broken, type Entry, withoutEntry } from './entry.ts'

const table = 'mcp_servers'

/**
 * The text of a TOML config with our table, all else as it was to the letter. What comes out is read again and has to say the same beside our table, so
 * that a text that is written in a way that is not expected is refused and not harmed. Throws `invalid_config`.
 */
export function withTomlEntry(path: string, text: string, name: string, entry: Entry): string {
  const before = read(path, text)
  if (isOurs(before, name, entry)) return text
  const eol = text.includes('\r\n') ? '\r\n' : '\n'
  const ours = stringify({ [table]: { [name]: entry } })
    .trim()
    .replaceAll('\n', eol)
  const lines = text.split(eol)
  const place = findTable(lines, name)
  const result = place
    ? [...lines.slice(0, place.start), ...ours.split(eol), ...lines.slice(place.end)].join(eol)
    : `${text}${text === '' || text.endsWith(eol) ? '' : eol}${text.trim() === '' ? '' : eol}${ours}${eol}`
  const after = read(path, result, 'it says what belongs to Gibil in a way that cannot be changed here')
  if (
    !isOurs(after, name, entry) ||
    !isDeepStrictEqual(withoutEntry(after, table, name), withoutEntry(before, table, name))
  )
    throw broken(path, place ? place.start + 1 : lines.length, 'its table of Gibil cannot be changed here')
  return result
}

function read(path: string, text: string, why?: string): Record<string, unknown> {
  try {
    return parse(text)
  } catch (error) {
    if (error instanceof TomlError)
      throw broken(path, error.line, why ?? error.message.split('\n')[0] ?? 'it is no TOML')
    throw error
  }
}

function isOurs(config: Record<string, unknown>, name: string, { command, args }: Entry): boolean {
  const servers = config[table]
  const found =
    typeof servers === 'object' && servers !== null ? Object.entries(servers).find(([key]) => key === name) : undefined
  const { command: itsCommand, args: itsArgs } = (found?.[1] ?? {}) as Record<string, unknown>
  return itsCommand === command && isDeepStrictEqual(itsArgs, args)
}

/** Our table without the comments and empty lines that stand before the next. Tables below ours, as its environment, are others. */
function findTable(
  lines: readonly string[],
  name: string,
): { readonly start: number; readonly end: number } | undefined {
  const header = new RegExp(`^\\s*\\[\\s*${table}\\s*\\.\\s*("${name}"|'${name}'|${name})\\s*\\]\\s*(#.*)?$`)
  const start = lines.findIndex((line) => header.test(line))
  if (start === -1) return undefined
  const next = lines.findIndex((line, index) => index > start && /^\s*\[/.test(line))
  let end = next === -1 ? lines.length : next
  while (end > start + 1 && /^\s*(#.*)?$/.test(lines[end - 1] ?? '')) end -= 1
  return { start, end }
}
