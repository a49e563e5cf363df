import { GibilError } from '@gibil/contract'
import type { KeptSetups } from '../plane/kept-setups.ts'
import { describeExit, exec, type SetupRun } from './commands.ts'

/**
 * Runs the set-up script of a box as root and keeps what it made. Nothing is kept of one that fails, and the box goes with it: throws `task_failed`
 * with the end of its output.
 */
export async function runScript(run: SetupRun, defaultTimeoutMs: number, keep: KeptSetups['keep']): Promise<void> {
  const { record, output, signal } = run
  const { setup } = record
  if (!setup) return
  const failed = (message: string, cause?: unknown): GibilError =>
    new GibilError('task_failed', message, {
      hint: 'The box is gone, and nothing was kept: correct the script, and create the box again.',
      details: { step: 'setup', log: output.tail() },
      cause,
    })
  await run.step('setup', async () => {
    const exit = await exec(run, {
      argv: ['bash', '-c', setup.run],
      cwd: '/',
      user: 'root',
      label: 'setup',
      timeoutMs: setup.timeoutMs ?? defaultTimeoutMs,
    }).catch((error: unknown) => {
      signal.throwIfAborted()
      throw failed(`The set-up script could not be run: ${GibilError.from(error).message}`, error)
    })
    if (exit.exitCode !== 0) throw failed(`The set-up script ${describeExit(exit)}.`)
  })
  await run.step('keep setup', async () => {
    const why = await keep(record, signal)
    if (why !== undefined) output.text(`What the script made is not kept: ${why}\n`)
  })
}
