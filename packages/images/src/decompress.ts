import { pipeline, Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { execa } from 'execa'

const magic = {
  gzip: Buffer.from('1f8b', 'hex'),
  zstd: Buffer.from('28b52ffd', 'hex'),
  xz: Buffer.from('fd377a585a00', 'hex'),
} as const

/** Of the host. */
const xz = 'xz'

const startsWith = (data: Buffer, bytes: Buffer): boolean => data.subarray(0, bytes.length).equals(bytes)

/** The plain bytes of a stream that may be compressed by gzip, zstd or xz; which, its first bytes tell. */
export const decompress = async (stream: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> => {
  const chunks = stream[Symbol.asyncIterator]()
  let first = Buffer.alloc(0)
  let ended = false
  while (first.length < magic.xz.length && !ended) {
    const next = await chunks.next()
    if (next.done) ended = true
    else first = Buffer.concat([first, next.value])
  }
  const start = first
  const whole = async function* (): AsyncGenerator<Uint8Array> {
    try {
      if (start.length > 0) yield start
      for (let next = ended ? undefined : await chunks.next(); next && !next.done; next = await chunks.next())
        yield next.value
    } finally {
      await chunks.return?.()
    }
  }
  const transform = decompressorFor(start)
  if (!transform) return whole()
  // An error of either side ends the other; the reader of the result sees it. The listener is for one that comes after the end.
  transform.on('error', () => undefined)
  pipeline(Readable.from(whole(), { objectMode: false }), transform, () => undefined)
  return transform
}

const decompressorFor = (start: Buffer) => {
  if (startsWith(start, magic.gzip)) return createGunzip()
  if (startsWith(start, magic.zstd)) return createZstdDecompress()
  if (startsWith(start, magic.xz)) {
    // Node has no xz; the memory limit keeps a hostile header from asking for all there is.
    return execa(xz, ['--decompress', '--stdout', '--memlimit-decompress=512MiB'], {
      buffer: false,
      stderr: 'ignore',
    }).duplex()
  }
  return undefined
}
