import { type Logger, pino } from 'pino'
import type { LogLevel } from './log-level.ts'
import { openRotatingFile } from './rotating-file.ts'

const maxLogBytes = 20 * 1024 * 1024

/** JSON lines with a time in UTC; to a file that is bounded at 20 MB, or to standard error when no file is given. */
export function createLog(options: { readonly level: LogLevel; readonly file?: string | undefined }): Logger {
  const destination =
    options.file === undefined ? pino.destination({ fd: 2, sync: true }) : openRotatingFile(options.file, maxLogBytes)
  return pino(
    { base: { pid: process.pid }, level: options.level, timestamp: pino.stdTimeFunctions.isoTime },
    destination,
  )
}
