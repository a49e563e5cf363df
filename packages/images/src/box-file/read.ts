import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { BoxManifest, boxFileVersion, GibilError } from '@gibil/contract'
import { decompress } from '../decompress.ts'
import { errnoOf, parseJson } from '../files.ts'
import { blockSize } from '../tar-format.ts'
import { ByteSource, TarError } from '../tar-read.ts'
import { paddingOf, tarEnd } from '../tar-write.ts'
import { encodeTrailer, manifestHeader, maxManifestBytes, sizeInHeader, trailerBytes } from './frame.ts'

interface BoxFile {
  readonly manifest: BoxManifest
  /** As boxd sends it. It fails at its very end when the file is not what was written. */
  readonly tree: Readable
}

/** Reads the beginning of the file of a box, compressed or not. The file is hostile. Throws `box_file_invalid`, here and from the tree. */
export async function openBoxFile(file: AsyncIterable<Uint8Array>): Promise<BoxFile> {
  const source = new ByteSource(naming(await decompress(file)))
  try {
    const hash = createHash('sha256')
    const header = await source.exactly(blockSize)
    const size = header ? sizeInHeader(header) : Number.NaN
    if (!header || !(size > 0 && size <= maxManifestBytes) || !manifestHeader(size).equals(header)) throw foreign()
    const padding = paddingOf(size)
    const content = await source.exactly(size + padding.length)
    if (!content) throw cutOff()
    const manifest = parseManifest(content.subarray(0, size))
    hash.update(header).update(content)
    const tree = Readable.from(body(source, hash, header.length + content.length), { objectMode: false })
    // Whoever reads it learns of its failure from that, also when it comes after he has stopped.
    tree.on('error', () => undefined)
    return { manifest, tree }
  } catch (error) {
    await source.close()
    throw error instanceof TarError ? cutOff(error) : error
  }
}

const invalid = (message: string, hint?: string, cause?: unknown): GibilError =>
  new GibilError('box_file_invalid', message, { hint, cause })
const foreign = (): GibilError =>
  invalid(
    'This is not the file of an exported box.',
    'Give a file that `gibil export` has made. A root filesystem becomes an image: `gibil image import`.',
  )
const cutOff = (cause?: unknown): GibilError =>
  invalid('The file is cut off.', 'Copy it again, whole, or export the box again.', cause)
const damaged = (why: string, cause?: unknown): GibilError =>
  invalid(`The file is damaged: ${why}.`, 'Copy it again, or export the box again.', cause)

function parseManifest(content: Buffer): BoxManifest {
  const value = parseJson(content.toString('utf8'))
  const { format, version, gibil } =
    typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  if (format !== 'gibil-box') throw foreign()
  if (typeof version === 'number' && version > boxFileVersion) {
    const by = typeof gibil === 'string' ? ` by Gibil ${gibil.slice(0, 40)}` : ''
    throw invalid(
      `The file was made${by} in version ${version} of its form, and this daemon knows ${boxFileVersion}.`,
      'Update Gibil on this machine, or export the box with an older one.',
    )
  }
  const manifest = BoxManifest.safeParse(value)
  if (manifest.success) return manifest.data
  const [issue] = manifest.error.issues
  throw damaged(`its manifest does not fit: ${issue?.path.join('.')}: ${issue?.message}`, manifest.error)
}

/** Everything up to the checksum, and then the end of an archive if that is right. */
async function* body(
  source: ByteSource,
  hash: ReturnType<typeof createHash>,
  before: number,
): AsyncGenerator<Uint8Array> {
  let bytes = before
  let held = Buffer.alloc(0)
  try {
    for (;;) {
      const part = await source.some(Number.MAX_SAFE_INTEGER)
      if (part.length === 0) break
      const all = Buffer.concat([held, part])
      const cut = Math.max(0, all.length - trailerBytes)
      held = all.subarray(cut)
      if (cut === 0) continue
      const out = all.subarray(0, cut)
      hash.update(out)
      bytes += cut
      yield out
    }
    const expected = encodeTrailer(hash.digest('hex'), bytes)
    if (!held.equals(expected)) {
      const hasEnd = held.length === trailerBytes && held.subarray(0, blockSize).equals(expected.subarray(0, blockSize))
      throw hasEnd ? damaged('its checksum is not that of its content') : cutOff()
    }
    yield tarEnd
  } finally {
    await source.close()
  }
}

/** What cannot be decompressed says so as a file, and not as a library. */
async function* naming(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* stream
  } catch (error) {
    if (/^(Z_|ZSTD_|ERR_ZLIB)/.test(errnoOf(error) ?? ''))
      throw damaged('it cannot be decompressed, or is cut off', error)
    throw error
  }
}
