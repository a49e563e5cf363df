import type { CommandStream, CreateOptions } from '@gibil/sdk'
import { type History, SoakFailure } from './failure.ts'

/** A detached job whose whole output is known: numbered lines, then an exit code. */
export interface JobModel {
  readonly id: string
  readonly lines: number
  readonly exitCode: number
  /** Bytes that were seen and were right. */
  seen: number
  ended: boolean
  stream: CommandStream | undefined
  follower: Promise<void> | undefined
}

/** What must be true of one box. */
export interface BoxModel extends History {
  readonly id: string
  readonly asked: CreateOptions & { readonly name: string }
  status: 'running' | 'paused' | 'stopped'
  /** SHA-256 of each file by its path; the ones that are not there are absent. */
  readonly files: Map<string, string>
  /** Lines of `~/log`, in order. */
  readonly markers: string[]
  readonly jobs: Map<string, JobModel>
  /** When its lease ends, as the daemon said it last. */
  expiresAt: string | null
  note(text: string): void
}

export function createModel(id: string, asked: BoxModel['asked'], history: string[]): BoxModel {
  const { name } = asked
  return {
    id,
    name,
    asked,
    status: 'running',
    files: new Map(),
    markers: [],
    jobs: new Map(),
    expiresAt: null,
    history,
    note: (text) => void history.push(`${new Date().toISOString().slice(11, 23)} ${text}`),
  }
}

/** Adds the history of the box to whatever went wrong while it was used. */
export function withHistory(of: History, error: unknown): SoakFailure {
  if (error instanceof SoakFailure) return error
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return new SoakFailure(`${of.name}: ${text}`, of.history, { cause: error })
}
