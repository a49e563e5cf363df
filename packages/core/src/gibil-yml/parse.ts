import { GibilError } from '@gibil/contract'
import { type Document, isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml'
import type * as z from 'zod'
import { type GibilConfig, toConfig } from './config.ts'
import { GibilYml } from './schema.ts'

/** A longer file is refused: nobody writes one, and it is read from a box that nobody trusts. */
export const maxConfigBytes = 256 * 1024

interface ConfigIssue {
  /** Both count from 1. */
  readonly line: number
  readonly column: number
  /** Such as `services.db.ready`; empty for the whole file. */
  readonly path: string
  readonly message: string
}

type Path = readonly (string | number)[]

/** Reads a `.gibil.yml`. Throws `invalid_config` that names line, column and field of everything that is wrong. */
export function parseGibilYml(text: string, file = '.gibil.yml'): GibilConfig {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  if (document.errors.length > 0) {
    throw invalid(
      file,
      document.errors.map((error) => ({ ...at(error.pos[0]), path: '', message: error.message })),
    )
  }
  const result = GibilYml.safeParse(valuesOf(document, file) ?? {})
  if (result.success) return toConfig(result.data)
  const issues = result.error.issues
    .flatMap((issue) => flatten(issue, []))
    .map(({ path, message, atKey }) => ({
      ...at(offsetOf(document, path, atKey)),
      path: path.join('.'),
      message,
    }))
  throw invalid(file, issues)
}

function invalid(file: string, issues: readonly ConfigIssue[]): GibilError {
  const shown = issues.slice(0, 20).map(({ line, column, path, message }) => {
    return `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`
  })
  return new GibilError('invalid_config', shown.join('\n'), { details: { file, issues: issues.slice(0, 20) } })
}

function valuesOf(document: Document, file: string): unknown {
  try {
    // `runtime: {python: 3.10}` means the text 3.10 and not the number 3.1; the same holds for variables.
    keepSource(document.get('runtime', true))
    keepSource(document.get('env', true))
    return document.toJS({ maxAliasCount: 100 })
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new GibilError('invalid_config', `${file}:1:1: ${message}`, { cause })
  }
}

function keepSource(node: unknown): void {
  if (!isMap(node)) return
  for (const { value } of node.items) {
    if (isScalar(value) && typeof value.value === 'number' && value.source !== undefined) value.value = value.source
  }
}

interface FlatIssue {
  readonly path: Path
  readonly message: string
  /** The key is wrong, not its value. */
  readonly atKey: boolean
}

function flatten(issue: z.core.$ZodIssue, base: Path): FlatIssue[] {
  const path = [...base, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))]
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key], message: 'is not a known field', atKey: true }))
  }
  if (issue.code === 'invalid_key')
    return [{ path, message: issue.issues[0]?.message ?? 'is not a known name', atKey: true }]
  if (issue.code === 'invalid_union') {
    // The branch that got furthest is the one that was meant: not those which the kind of the value rules out.
    const meant = issue.errors.find(
      (branch) => !branch.some((part) => part.code === 'invalid_type' && part.path.length === 0),
    )
    if (meant) return meant.flatMap((part) => flatten(part, path))
    const kinds = issue.errors.flatMap((branch) =>
      branch.map((part) => ('expected' in part ? String(part.expected) : '')),
    )
    return [{ path, message: `must be ${[...new Set(kinds.filter(Boolean))].join(' or ')}`, atKey: false }]
  }
  return [{ path, message: issue.message, atKey: false }]
}

/** Where the field stands in the text; for one that is missing, where the map stands that should hold it. */
function offsetOf(document: Document, path: Path, atKey: boolean): number {
  for (let length = path.length; length > 0; length -= 1) {
    const key = path[length - 1]
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true)
    if (isMap(parent)) {
      const pair = parent.items.find((item) => String(isScalar(item.key) ? item.key.value : item.key) === String(key))
      const node = (atKey && length === path.length ? pair?.key : (pair?.value ?? pair?.key)) as Node | null | undefined
      if (node?.range) return node.range[0]
    } else {
      const node = document.getIn(path.slice(0, length), true) as Node | null | undefined
      if (node && typeof node === 'object' && node.range) return node.range[0]
    }
  }
  return document.contents?.range?.[0] ?? 0
}
