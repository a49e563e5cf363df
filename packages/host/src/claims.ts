import { mkdir, readlink, symlink, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from './files.ts'

/**
 * Things of the host that only one home may have (a subnet, a block of user ids). A claim is a symbolic link to the home: made in
 * one step, so that two daemons that start together cannot both get it, and gone after a reboot.
 */
export interface Claims {
  /** Claims the first name that nobody else has; undefined when all are taken. */
  first(names: Iterable<string>): Promise<string | undefined>
  release(name: string): Promise<void>
}

export function createClaims(directory: string, home: string): Claims {
  const owner = (name: string): Promise<string | undefined> => readlink(join(directory, name)).catch(() => undefined)
  return {
    async first(names) {
      await mkdir(directory, { recursive: true, mode: 0o755 })
      for (const name of names) {
        try {
          await symlink(home, join(directory, name))
          return name
        } catch (error) {
          if (errnoOf(error) !== 'EEXIST') throw error
          if ((await owner(name)) === home) return name
        }
      }
      return undefined
    },
    async release(name) {
      if ((await owner(name)) === home) await unlink(join(directory, name))
    },
  }
}
