import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Where the parts of the store are. All on one file system, so that a rename is atomic. */
export interface ImageHome {
  readonly root: string
  readonly layers: string
  readonly manifests: string
  readonly cache: string
  readonly tmp: string
}

/** Makes the folders. Nobody but root may enter: they hold setuid programs of other people's making. */
export const openImageHome = async (home: string): Promise<ImageHome> => {
  const root = join(home, 'images')
  const paths = {
    root,
    layers: join(root, 'layers'),
    manifests: join(root, 'manifests'),
    cache: join(root, 'cache'),
    tmp: join(root, 'tmp'),
  }
  for (const path of Object.values(paths)) await mkdir(path, { recursive: true, mode: 0o700 })
  return paths
}
