import { DatabaseSync } from 'node:sqlite'
import { GibilError } from '@gibil/contract'

/**
 * Makes sure that one daemon only works on a home. The lock is a file lock that SQLite takes for us (Node has no call for it):
 * the kernel lets go of it however the process ends, so that no stale lock can be left. Throws `wrong_state`.
 */
export function takeInstanceLock(file: string): { release: () => void } {
  const database = new DatabaseSync(file)
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (cause) {
    database.close()
    throw new GibilError('wrong_state', `Another daemon runs on this home: ${file} is locked.`, {
      hint: 'Use that daemon, stop it with `gibil down`, or give another GIBIL_HOME.',
      cause,
    })
  }
  return { release: () => database.close() }
}
