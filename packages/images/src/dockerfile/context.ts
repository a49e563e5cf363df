import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { decompress } from '../decompress.ts'
import { readIfThere } from '../files.ts'
import type { Operation } from '../operation.ts'
import { inPhase } from '../progress.ts'
import { scopedPath } from '../scoped-path.ts'
import { unpack } from '../unpack.ts'
import { readIgnores } from './ignore-file.ts'
import type { SourceTree } from './sources.ts'

/** A build context with the Dockerfile that was asked for. */
export interface Context {
  readonly tree: SourceTree
  readonly dockerfileName: string
  readonly dockerfileText: string
}

const maxText = 1024 * 1024

const readText = async (root: string, name: string): Promise<string | undefined> => {
  const path = await scopedPath(root, name)
  const size = await stat(path).then(
    (found) => (found.isFile() ? found.size : undefined),
    () => undefined,
  )
  if (size === undefined) return undefined
  if (size > maxText) throw new GibilError('image_build_failed', `${name} is larger than 1 MiB.`)
  return readIfThere(path)
}

/** Opens a folder of this host, or unpacks a tar stream, as a build context. Throws `image_build_failed`. */
export const openContext = async (
  operation: Operation,
  source: AsyncIterable<Uint8Array> | string,
  dockerfile: string | undefined,
): Promise<Context> => {
  const root = typeof source === 'string' ? source : join(operation.folder, 'context')
  if (typeof source !== 'string') {
    await inPhase(operation, 'context', undefined, async () =>
      unpack(await decompress(source), root, {
        kind: 'tree',
        env: operation.env,
        signal: operation.signal,
        needsEnd: true,
        failure: (message, cause) =>
          new GibilError('image_build_failed', `The build context cannot be used: ${message}`, { cause }),
      }),
    )
  }
  const dockerfileName = dockerfile ?? 'Dockerfile'
  const dockerfileText = await readText(root, dockerfileName)
  if (dockerfileText === undefined) {
    throw new GibilError(
      'image_build_failed',
      `The build context has no file ${JSON.stringify(dockerfileName.slice(0, 200))}.`,
      {
        hint: 'Name the Dockerfile by --file, from the root of the context.',
      },
    )
  }
  const ignored =
    (await readText(root, `${dockerfileName}.dockerignore`)) ?? (await readText(root, '.dockerignore')) ?? ''
  return { tree: { root, ignores: readIgnores(ignored) }, dockerfileName, dockerfileText }
}
