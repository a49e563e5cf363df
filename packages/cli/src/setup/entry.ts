import { GibilError } from '@gibil/sdk'
import { execa } from 'execa'
import type * as z from 'zod'

export interface EntryCall<T> {
  readonly args?: readonly string[]
  /** What it gets by standard input, where others cannot read it. */
  readonly input?: string
  readonly schema: z.ZodType<T>
  readonly signal: AbortSignal
}

/** Runs a program of ours that needs no daemon, and gives the JSON that it prints. Throws the error that it prints. */
export async function runEntry<T>(path: string, { args = [], input, schema, signal }: EntryCall<T>): Promise<T> {
  const child = await execa(process.execPath, [path, ...args], {
    reject: false,
    cancelSignal: signal,
    stderr: 'inherit',
    ...(input === undefined ? { stdin: 'ignore' } : { input }),
  })
  signal.throwIfAborted()
  const printed = parse(child.stdout)
  const result = schema.safeParse(printed)
  if (result.success) return result.data
  throw GibilError.fromBody(printed, 'A program of Gibil ended without a result.')
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
