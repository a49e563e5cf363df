import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { GibilError, TreeReport } from '@gibil/contract'
import type { SavedTree } from '@gibil/core'
import { parseJson } from './files.ts'
import { emptyConfig, type ImageConfig, type ImageManifest } from './manifest.ts'
import type { Operation } from './operation.ts'
import { inPhase } from './progress.ts'
import { toText } from './tar-format.ts'
import { unpack } from './unpack.ts'

/** By this record the stream of a tree ends: boxd/PROTOCOL.md. */
export const reportKey = 'GIBIL.report'

interface TreeInput {
  readonly name: string | null
  readonly source: string
  /** What the box got from its image beside files; its shape is no longer a matter of the image. */
  readonly config: ImageConfig | undefined
  readonly tar: AsyncIterable<Uint8Array>
}

/** Makes an image of one layer from the tree of a box. Throws `image_damaged` when the stream is not a whole one. */
export const saveTree = async (
  operation: Operation,
  { name, source, config = emptyConfig, tar }: TreeInput,
): Promise<{ image: ImageManifest; saved: Omit<SavedTree, 'image'> }> => {
  const tree = join(operation.folder, 'tree')
  const failure = (message: string, cause?: unknown) =>
    new GibilError('image_damaged', `The files of ${source} could not be taken: ${message}`, {
      cause,
      hint: 'Nothing of them is kept. Try again.',
    })
  const hash = createHash('sha256')
  let bytes = 0
  let report: TreeReport | undefined
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of tar) {
      hash.update(chunk)
      bytes += chunk.length
      yield chunk
    }
  }
  await inPhase(operation, 'copy', undefined, async () => {
    await unpack(counted(), tree, {
      kind: 'box',
      env: operation.env,
      signal: operation.signal,
      needsEnd: true,
      onGlobal: (key, value) => {
        if (key === reportKey) report = TreeReport.safeParse(parseJson(toText(value.toString('latin1')))).data
      },
      failure,
    })
    if (report === undefined) throw failure('the stream has no report at its end.')
  })
  if (report === undefined) throw failure('the stream has no report at its end.')
  const { id } = await inPhase(operation, 'store layer', undefined, () =>
    operation.commit(tree, { id: hash.digest('hex') }),
  )
  const { 'gibil.shape': _, ...labels } = config.labels
  const image = await operation.add({ name, source, layers: [id], config: { ...config, labels } })
  return { image, saved: { bytes, report } }
}
