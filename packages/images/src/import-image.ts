import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { decompress } from './decompress.ts'
import { emptyConfig, type ImageManifest } from './manifest.ts'
import type { Operation } from './operation.ts'
import { inPhase } from './progress.ts'
import { unpack } from './unpack.ts'

/** What a root file system without a word about its environment gets. */
const defaultEnv = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' }

/** Makes an image of one layer from a tar archive of a root file system. Throws `image_damaged`. */
export const importImage = async (
  operation: Operation,
  name: string,
  tar: AsyncIterable<Uint8Array>,
): Promise<ImageManifest> => {
  const tree = join(operation.folder, 'tree')
  const failure = (message: string, cause?: unknown) =>
    new GibilError('image_damaged', `${name} could not be imported: ${message}`, {
      cause,
      hint: 'Give a tar archive of a root file system, plain or compressed by gzip, xz or zstd.',
    })
  await inPhase(operation, 'unpack', undefined, async () => {
    await unpack(await decompress(tar), tree, {
      kind: 'tree',
      env: operation.env,
      signal: operation.signal,
      needsEnd: true,
      failure,
    })
    if ((await readdir(tree)).length === 0) throw failure('the archive holds no files.')
  })
  const { id } = await inPhase(operation, 'store layer', undefined, () => operation.commit(tree))
  return operation.add({ name, source: 'tarball', layers: [id], config: { ...emptyConfig, env: defaultEnv } })
}
