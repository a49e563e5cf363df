import { GibilError } from '@gibil/contract'
import { errnoOf } from './files.ts'
import { lastLine } from './tool.ts'

/** Runs one step on the host, turning what it throws into an error of the table that names the step. */
export async function onHost<T>(what: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (error) {
    if (GibilError.is(error)) throw error
    const errno = errnoOf(error)
    const message = error instanceof Error ? error.message : String(error)
    if (errno === 'ENOSPC' || errno === 'EDQUOT') {
      throw new GibilError('disk_full', `The host ran out of disk space while it ${what}.`, {
        hint: 'Free space on the host, or destroy boxes that are not needed.',
        cause: error,
      })
    }
    throw new GibilError('driver_failed', `The host could not go on while it ${what}: ${message}`, {
      cause: error,
      details: { ...(errno === undefined ? {} : { errno }) },
    })
  }
}

/** What a runtime that could not start a box says, as an error of the table. */
export function runtimeError(id: string, exitCode: number, stderr: string): GibilError {
  const details = { exitCode, stderr: stderr.slice(-4096) }
  if (/no space left on device/i.test(stderr)) {
    return new GibilError('disk_full', `Box ${id} could not start: no space is left.`, { details })
  }
  if (/OOM-killed|memory limit too low|cannot allocate memory|unable to set memory limit/i.test(stderr)) {
    return new GibilError('invalid_size', `Box ${id} could not start within its memory limit.`, {
      hint: 'Give it more memory: --memory 64M or more.',
      details,
    })
  }
  return new GibilError('driver_failed', `The OCI runtime could not start box ${id}: ${lastLine(stderr)}`, { details })
}
