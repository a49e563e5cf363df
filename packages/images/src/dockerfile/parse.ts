import { GibilError } from '@gibil/contract'
import { DockerfileParser, type Heredoc } from 'dockerfile-ast'

export interface Heredocument {
  readonly name: string
  readonly content: string
  /** False when its name was quoted: then variables in it stay as they are. */
  readonly expand: boolean
}

/** One instruction, its continuation lines joined and comments between them gone. */
export interface Instruction {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly keyword: string
  readonly flags: readonly { readonly name: string; readonly value: string | null }[]
  /** What follows the flags, without the bodies of here-documents. */
  readonly rest: string
  /** The exec form, `["a", "b"]`. */
  readonly json: readonly string[] | null
  readonly heredocs: readonly Heredocument[]
}

export interface ParsedStage {
  /** Empty for what stands before the first FROM. */
  readonly from: Instruction
  readonly instructions: readonly Instruction[]
}

export interface ParsedDockerfile {
  readonly file: string
  readonly escapeChar: string
  /** ARG before the first FROM. */
  readonly globals: readonly Instruction[]
  readonly stages: readonly ParsedStage[]
}

/** The first line of an instruction, for messages. */
export const describe = (instruction: Pick<Instruction, 'keyword' | 'rest'>): string => {
  const text = `${instruction.keyword} ${instruction.rest.split('\n')[0] ?? ''}`.trim()
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

/** An error at an instruction: names file, line and instruction. */
export const failAt = (
  instruction: Instruction,
  message: string,
  options: { cause?: unknown; log?: string; hint?: string } = {},
): GibilError => {
  const { file, line } = instruction
  return new GibilError('image_build_failed', `${file}:${line}: ${describe(instruction)}: ${message}`, {
    cause: options.cause,
    hint: options.hint,
    details: {
      file,
      line,
      instruction: describe(instruction),
      ...(options.log === undefined ? {} : { log: options.log }),
    },
  })
}

const isContinued = (line: string, escapeChar: string): boolean => line.trimEnd().endsWith(escapeChar)

/** Joins lines that end with the escapeChar character; lines of comment and empty lines between them do not count. */
const joinLines = (text: string, escapeChar: string): string => {
  const lines = text.split(/\r?\n/)
  let result = ''
  let continued = false
  for (const line of lines) {
    if (continued && (/^\s*#/.test(line) || line.trim() === '')) continue
    continued = isContinued(line, escapeChar)
    result += continued ? line.trimEnd().slice(0, -escapeChar.length) : `${line}\n`
  }
  return result.replace(/\n$/, '')
}

const jsonStrings = (text: string): string[] | null => {
  if (!text.trimStart().startsWith('[')) return null
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : null
  } catch {
    // Docker takes what is not JSON for the shell form.
    return null
  }
}

const hasHeredocs = (value: object): value is { getHeredocs(): Heredoc[] } =>
  'getHeredocs' in value && typeof value.getHeredocs === 'function'

const hasFlags = (value: object): value is { getFlags(): { getName(): string; getValue(): string | null }[] } =>
  'getFlags' in value && typeof value.getFlags === 'function'

const heredocsOf = (instruction: object): readonly Heredoc[] =>
  hasHeredocs(instruction) ? instruction.getHeredocs() : []

const flagsOf = (instruction: object): Instruction['flags'] =>
  hasFlags(instruction) ? instruction.getFlags().map((flag) => ({ name: flag.getName(), value: flag.getValue() })) : []

const readHeredoc = (heredoc: Heredoc, lines: readonly string[]): Heredocument => {
  const range = heredoc.getContentRange()
  const start = heredoc.getStartRange()
  const opening = (lines[start.start.line] ?? '').slice(start.start.character, start.end.character)
  const body = range ? lines.slice(range.start.line, range.end.line + 1) : []
  const stripped = opening.startsWith('<<-') ? body.map((line) => line.replace(/^\t+/, '')) : body
  return {
    name: heredoc.getName(),
    content: stripped.map((line) => `${line}\n`).join(''),
    expand: !/["']/.test(opening),
  }
}

/** Instructions as the parser finds them. What it falls over is refused like any other wrong syntax: it is a stranger's text. */
const readInstructions = (text: string, file: string): { escapeChar: string; instructions: Instruction[] } => {
  const lines = text.split(/\r?\n/)
  try {
    const ast = DockerfileParser.parse(text)
    const escapeChar = ast.getEscapeCharacter()
    const instructions = ast.getInstructions().map((one): Instruction => {
      const heredocs = heredocsOf(one).map((heredoc) => readHeredoc(heredoc, lines))
      const raw = one.getRawArgumentsContent() ?? ''
      const rest = heredocs.length > 0 ? (raw.split(/\r?\n/)[0] ?? '') : joinLines(raw, escapeChar)
      const flags = flagsOf(one)
      return {
        file,
        line: one.getRange().start.line + 1,
        keyword: one.getKeyword(),
        flags,
        rest,
        json: jsonStrings(rest),
        heredocs,
      }
    })
    return { escapeChar, instructions }
  } catch (cause) {
    throw new GibilError('image_build_failed', `${file} cannot be read as a Dockerfile.`, {
      cause,
      hint: 'Look for a line that ends with an escape character and is followed by a comment or by nothing.',
    })
  }
}

/** Reads a Dockerfile. Throws `image_build_failed` with file and line. */
export const parseDockerfile = (text: string, file: string): ParsedDockerfile => {
  const { escapeChar, instructions } = readInstructions(text, file)
  const firstFrom = instructions.findIndex((one) => one.keyword === 'FROM')
  if (firstFrom < 0) {
    throw new GibilError('image_build_failed', `${file} has no FROM.`, {
      hint: 'Begin with FROM and the name of an image, or FROM scratch.',
    })
  }
  const globals = instructions.slice(0, firstFrom)
  const stray = globals.find((one) => one.keyword !== 'ARG')
  if (stray) throw failAt(stray, 'only ARG may stand before the first FROM.')
  const stages: { from: Instruction; instructions: Instruction[] }[] = []
  for (const one of instructions.slice(firstFrom)) {
    if (one.keyword === 'FROM') stages.push({ from: one, instructions: [] })
    else stages.at(-1)?.instructions.push(one)
  }
  return { file, escapeChar, globals, stages }
}
