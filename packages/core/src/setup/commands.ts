import { type ErrorCode, type Exit, formatDuration, GibilError } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'
import type { Task } from '../gibil-yml/config.ts'
import type { BoxdPort, ExecRequest } from '../ports/boxd.ts'
import { abortable } from '../util/timing.ts'
import type { Output } from './output.ts'

/** What every part of set-up works with. */
export interface SetupRun {
  readonly record: BoxRecord
  readonly boxd: BoxdPort
  readonly output: Output
  readonly signal: AbortSignal
  /** Runs a step with its title told and its time measured. */
  step<T>(title: string, work: () => Promise<T>): Promise<T>
}

export const describeExit = ({ exitCode, signal, timedOut, durationMs }: Exit): string => {
  if (timedOut) return `was ended after ${formatDuration(durationMs)}`
  return signal === null ? `ended with ${exitCode}` : `was ended by ${signal}`
}

export const exec = (run: SetupRun, request: ExecRequest): Promise<Exit> =>
  abortable(run.boxd.exec(request, run.output.write, run.signal), run.signal)

/** Runs a command and gives what it printed on stdout, at most 64 KiB. */
export async function capture(run: SetupRun, request: ExecRequest): Promise<{ exit: Exit; stdout: string }> {
  const decoder = new TextDecoder()
  let stdout = ''
  const keep = (stream: 'stdout' | 'stderr', data: Uint8Array): void => {
    if (stream === 'stdout' && stdout.length < 65_536) stdout += decoder.decode(data, { stream: true })
  }
  const exit = await abortable(run.boxd.exec(request, keep, run.signal), run.signal)
  return { exit, stdout }
}

const inRepo = (record: BoxRecord, cwd: string | null): string => {
  const base = record.repo?.path ?? '~'
  if (cwd === null) return base
  return cwd.startsWith('/') || cwd.startsWith('~') ? cwd : `${base}/${cwd}`
}

export const lineRequest = (
  record: BoxRecord,
  line: { readonly run: string; readonly cwd: string | null; readonly env: Readonly<Record<string, string>> },
  label: string,
): ExecRequest => ({ argv: ['bash', '-c', line.run], cwd: inRepo(record, line.cwd), env: line.env, label })

/** The error of a step that failed, with the end of its output and where to look. */
export function stepError(run: SetupRun, code: ErrorCode, step: string, message: string, cause?: unknown): GibilError {
  const { name } = run.record
  return new GibilError(code, message, {
    hint: `The box is kept: see \`gibil logs ${name}\`, or look around with \`gibil shell ${name}\`.`,
    details: { step, log: run.output.tail(), name },
    cause,
  })
}

/** Runs tasks in order. Throws `task_failed`. */
export async function runTasks(
  run: SetupRun,
  kind: string,
  tasks: readonly Task[],
  defaultTimeoutMs: number,
): Promise<void> {
  for (const task of tasks) {
    const step = `${kind} ${task.name}`
    await run.step(step, async () => {
      const request = { ...lineRequest(run.record, task, step), timeoutMs: task.timeoutMs ?? defaultTimeoutMs }
      const exit = await exec(run, request).catch((error: unknown) => {
        run.signal.throwIfAborted()
        const why = GibilError.from(error).message
        throw stepError(run, 'task_failed', step, `The ${step} could not be run: ${why}`, error)
      })
      if (exit.exitCode !== 0) throw stepError(run, 'task_failed', step, `The ${step} ${describeExit(exit)}.`)
    })
  }
}
