import { constants, open, readdir, rmdir, unlink } from 'node:fs/promises'
import { errnoOf } from '@gibil/host'
import { type Place, pathAt, pathOf } from './walk.ts'

const directoryOnly = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/** Removes what has that name, with all below it and nothing else, whoever changes links meanwhile. Throws ENOENT. */
export async function removeTree(place: Place): Promise<void> {
  try {
    return await unlink(pathAt(place))
  } catch (error) {
    // Of a directory Linux says EISDIR, where POSIX says EPERM.
    if (errnoOf(error) !== 'EISDIR' && errnoOf(error) !== 'EPERM') throw error
  }
  const directory = await open(pathAt(place), directoryOnly)
  try {
    for (const name of await readdir(pathOf(directory))) {
      await removeTree({ directory, name }).catch((error) => {
        // A box was faster.
        if (errnoOf(error) !== 'ENOENT') throw error
      })
    }
  } finally {
    await directory.close()
  }
  await rmdir(pathAt(place))
}
