import { realpath } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { toolError } from '../results/error.ts'

/**
 * A path of this machine that a model named, with its links resolved, as long as it is below the directory in which this server works. The last part
 * need not exist. Throws `permission_denied`, `file_not_found`.
 */
export async function localPath(path: string, root: string): Promise<string> {
  const wanted = resolve(root, path)
  const base = await realpath(root)
  const real = await realpath(wanted).catch(async () => {
    const directory = await realpath(dirname(wanted)).catch(() => {
      throw toolError('file_not_found', `${dirname(wanted)} does not exist on this machine.`, 'Check the path.')
    })
    return join(directory, basename(wanted))
  })
  const inside = relative(base, real)
  if (inside !== '..' && !inside.startsWith('../')) return real
  throw toolError(
    'permission_denied',
    `${wanted} is outside of ${base}, which is all of this machine that this server touches.`,
    'Use a path below it, or ask the user to start the server with `gibil mcp --root <directory>`.',
  )
}
