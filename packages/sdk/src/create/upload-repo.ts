import { Box } from '@gibil/contract'
import type { BoxHandle } from '../box/box.ts'
import type { Transport } from '../connect/transport.ts'
import type { LongCallOptions } from '../images.ts'
import { repositoryEntries } from '../repo/pack.ts'
import { tarStream } from '../tree/tar-writer.ts'
import { destroyIfThere } from './undo.ts'

/** Sends the tree that a box waits for. A box that cannot get its tree is of no use and is destroyed. */
export async function uploadRepo(
  transport: Transport,
  box: BoxHandle,
  path: string,
  { onProgress, signal }: LongCallOptions,
): Promise<Box> {
  const begin = performance.now()
  onProgress?.({ phase: 'upload', message: `sending ${path}` })
  const tar = tarStream(repositoryEntries(path, signal))
  try {
    const answer = await transport.call(Box, 'PUT', `/boxes/${encodeURIComponent(box.ref)}/repo`, {
      raw: tar,
      headers: { 'content-type': 'application/x-tar' },
      signal,
    })
    onProgress?.({ phase: 'upload', ms: performance.now() - begin })
    return answer
  } catch (error) {
    await destroyIfThere(box).catch(() => false)
    throw error
  } finally {
    tar.destroy()
  }
}
