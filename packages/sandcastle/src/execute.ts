import type { BoxHandle } from '@gibil/sdk'
import { createLines } from './lines.ts'
import { createTail } from './tail.ts'

/** A box, and what every command in it has. */
export interface Where {
  readonly box: BoxHandle
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Aborts when the sandbox is closed: what runs in it is over then. */
  readonly ended: AbortSignal
}

export interface ExecOptions {
  readonly onLine?: (line: string) => void
  readonly cwd?: string
  readonly sudo?: boolean
  readonly stdin?: string
}

interface ExecResult {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number
}

export const commandLabel = 'sandcastle'
/** As much as Sandcastle's own providers keep of what was given line by line. */
const tailChars = 64 * 1024
/** Of what was not: a string has a limit, and so has memory. */
const wholeChars = 64 * 1024 * 1024
/** As a shell has it for a command that a signal ended. */
const endedBySignal = 128 + 9

/** Runs a line of `sh`, and gives its lines as they come. An exit code is a result; what is wrong with the box is thrown. */
export async function execute(where: Where, command: string, options: ExecOptions = {}): Promise<ExecResult> {
  const { onLine, stdin } = options
  const { box, env, ended } = where
  const stream = await box.stream(['sh', '-c', command], {
    cwd: options.cwd ?? where.cwd,
    env,
    label: commandLabel,
    signal: ended,
    stdin: stdin !== undefined,
    ...(options.sudo ? { user: 'root' } : {}),
  })
  // A command need not read its input, and may end before it has.
  if (stdin !== undefined) stream.stdin.end(stdin)
  const kept = onLine ? tailChars : wholeChars
  const output = { stdout: createTail(kept), stderr: createTail(kept) }
  const lines = createLines((line) => onLine?.(line))
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() }
  const take = (name: 'stdout' | 'stderr', text: string): void => {
    output[name].push(text)
    if (name === 'stdout') lines.push(text)
  }
  for await (const { stream: name, data } of stream) take(name, decoders[name].decode(data, { stream: true }))
  const { exitCode } = await stream.exit
  for (const name of ['stdout', 'stderr'] as const) take(name, decoders[name].decode())
  lines.end()
  return { stdout: output.stdout.text(), stderr: output.stderr.text(), exitCode: exitCode ?? endedBySignal }
}
