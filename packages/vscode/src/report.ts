import { GibilError } from '@gibil/sdk'
import { type LogOutputChannel, window } from 'vscode'
import { plain } from './labels/plain.ts'

/** Says what happened, and what to do next. What somebody gave up himself is no news. */
export async function report(log: LogOutputChannel, thrown: unknown): Promise<void> {
  const error = GibilError.from(thrown)
  if (error.code === 'cancelled') return
  log.error(`${error.code}: ${error.message} ${error.hint}`, ...(error.cause === undefined ? [] : [error.cause]))
  const details = error.details?.['log']
  if (typeof details === 'string') log.info(details)
  const choice = await window.showErrorMessage(plain(`${error.message} ${error.hint}`), 'Show Log')
  if (choice) log.show()
}
