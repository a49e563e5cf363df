import { type BoxHandle, GibilError } from '@gibil/sdk'
import { toolError } from '../results/error.ts'
import { nearest } from '../results/find.ts'

/** A path of a box as the API takes it: what is relative is relative to where commands run. */
export async function inBox(handle: BoxHandle, path: string): Promise<string> {
  if (/^[/~]/.test(path)) return path
  const { repo } = await handle.info()
  return repo === null ? path : `${repo.path}/${path}`
}

/** A file that is not there, with the name that was most likely meant. */
export async function explainMissing(handle: BoxHandle, path: string, error: unknown): Promise<never> {
  if (!GibilError.is(error) || error.code !== 'file_not_found') throw error
  const slash = path.lastIndexOf('/')
  const directory = slash === -1 ? '.' : path.slice(0, slash) || '/'
  const around = await handle.files.list(directory).catch(() => undefined)
  const name = path.slice(slash + 1)
  const near =
    around &&
    nearest(
      name,
      around.map((one) => one.name),
    )
  throw toolError(
    'file_not_found',
    error.message,
    near
      ? `Did you mean ${directory === '/' ? '' : directory}/${near}?`
      : around
        ? 'Call file_list for what is in the directory, or file_search.'
        : `The directory ${directory} does not exist either: call file_list on one above it.`,
  )
}
