import { GibilError } from '@gibil/sdk'
import type { Session } from '../session.ts'
import { type Check, fail, ok, warn } from './check.ts'

/** Whether the daemon of this home answers, and where. */
export async function checkDaemon(session: Session): Promise<Check[]> {
  try {
    const version = await session.gibil.version({ signal: session.signal })
    const endpoint = await session.gibil.endpoint()
    const where = endpoint.kind === 'socket' ? endpoint.path : endpoint.url
    return [ok('daemon', `process ${version.pid}, version ${version.version}, at ${where}`)]
  } catch (error) {
    if (!GibilError.is(error)) throw error
    return [
      error.code === 'daemon_unreachable'
        ? warn('daemon', 'not running', './gibil up')
        : fail('daemon', error.message, error.hint),
    ]
  }
}
