import { cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ownByRoot } from './own-by-root.ts'

/** Makes the layer with the files of recipes in `folder/files`, one laid over the other. */
export const layFiles = async (paths: readonly string[], folder: string): Promise<string> => {
  const tree = join(folder, 'files')
  await mkdir(tree, { mode: 0o755 })
  for (const path of paths) await cp(path, tree, { recursive: true, verbatimSymlinks: true })
  await ownByRoot(tree)
  return tree
}
