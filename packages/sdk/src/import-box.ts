import type { Readable } from 'node:stream'
import { Box, type ImportBox, type Progress } from '@gibil/contract'
import { callWithProgress } from './connect/sse.ts'
import type { Transport } from './connect/transport.ts'
import { destroyNamed } from './create/undo.ts'
import { boxFileType } from './export-box.ts'
import type { LongCallOptions } from './images.ts'

/** Makes a box of what was exported. Of a file that is not whole nothing is kept; when aborted, a box that is made already is destroyed. */
export async function importBox(
  transport: Transport,
  file: Readable,
  { env, ...wish }: ImportBox = {},
  { onProgress, signal }: LongCallOptions = {},
): Promise<Box> {
  const query = { ...wish, env: Object.entries(env ?? {}).map(([name, value]) => `${name}=${value}`) }
  const since = Date.now()
  let made: string | undefined
  const tell = (progress: Progress): void => {
    if (progress.phase === 'created') made = progress.message
    onProgress?.(progress)
  }
  const call = { query, raw: file, headers: { 'content-type': boxFileType }, signal, onProgress: tell }
  try {
    return await callWithProgress(transport, Box, 'POST', '/import', call)
  } catch (error) {
    if (signal?.aborted && made !== undefined) await destroyNamed(transport, made, since)
    throw error
  } finally {
    // What is refused at its beginning need not be sent to its end.
    file.destroy()
  }
}
