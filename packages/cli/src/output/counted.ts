import { formatBytes, type Progress } from '@gibil/sdk'

const everyMs = 200

interface Counting {
  readonly onProgress: ((progress: Progress) => void) | undefined
  /** Told now and then, for a line that is rewritten; else once, at the end. */
  readonly live: boolean
  readonly total?: number | undefined
}

/** The same bytes; tells how many have passed, of how many if that is known. */
export async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  phase: string,
  { onProgress, live, total }: Counting,
): AsyncGenerator<Uint8Array> {
  const begin = performance.now()
  const of = total === undefined ? '' : ` of ${formatBytes(total)}`
  let [bytes, told] = [0, begin]
  for await (const chunk of chunks) {
    bytes += chunk.length
    yield chunk
    if (!live || performance.now() - told < everyMs) continue
    told = performance.now()
    onProgress?.({ phase, message: `${formatBytes(bytes)}${of}` })
  }
  onProgress?.({ phase, message: formatBytes(bytes), ms: performance.now() - begin })
}
