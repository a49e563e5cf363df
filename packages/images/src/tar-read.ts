import { blockSize, type TarHeader, type TarType, xattrKey } from './tar-format.ts'

/** What is wrong with an archive, as a sentence; the caller knows whose archive it is. */
export class TarError extends Error {
  override readonly name = 'TarError'
  /** It is wrong from its first header on: this is no archive at all. */
  isNoArchive = false
}

export interface TarEntry extends TarHeader {
  /** The content; what is not read of it is skipped. */
  readonly body: AsyncIterable<Buffer>
}

const badHeader = 'A header of the archive is damaged, or this is not a tar archive.'
const maxPax = 1024 * 1024
const maxName = 4096
const maxEntries = 2_000_000

/** Hands out the bytes of a stream in the amounts asked for. */
export class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>
  #rest: Buffer = Buffer.alloc(0)

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#chunks = stream[Symbol.asyncIterator]()
  }

  async #fill(): Promise<boolean> {
    if (this.#rest.length > 0) return true
    for (;;) {
      const next = await this.#chunks.next()
      if (next.done) return false
      if (next.value.length === 0) continue
      this.#rest = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength)
      return true
    }
  }

  /** Up to `limit` bytes, empty at the end. */
  async some(limit: number): Promise<Buffer> {
    if (limit === 0 || !(await this.#fill())) return Buffer.alloc(0)
    const part = this.#rest.subarray(0, limit)
    this.#rest = this.#rest.subarray(part.length)
    return part
  }

  /** Exactly so many bytes; undefined when there are none at all. Throws when the stream ends between. */
  async exactly(size: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = []
    let missing = size
    while (missing > 0) {
      const part = await this.some(missing)
      if (part.length === 0) break
      parts.push(part)
      missing -= part.length
    }
    if (missing === 0) return parts.length === 1 ? parts[0] : Buffer.concat(parts)
    if (missing === size) return undefined
    throw new TarError('The archive ends in the middle.')
  }

  async drain(): Promise<void> {
    while ((await this.some(Number.MAX_SAFE_INTEGER)).length > 0);
  }

  async close(): Promise<void> {
    await this.#chunks.return?.()
  }
}

const text = (field: Buffer): string => {
  const end = field.indexOf(0)
  return field.subarray(0, end < 0 ? field.length : end).toString('latin1')
}

/** A number in octal, or in base 256 when its first bit is set (GNU). */
const number = (field: Buffer): number => {
  const first = field[0] ?? 0
  if ((first & 0x80) !== 0) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, first & 0x3f)
    if ((first & 0x40) !== 0 || !Number.isSafeInteger(value))
      throw new TarError('A number in the archive is out of range.')
    return value
  }
  const digits = text(field).trim()
  if (digits === '') return 0
  if (!/^[0-7]+$/.test(digits)) throw new TarError(badHeader)
  return Number.parseInt(digits, 8)
}

const types: Readonly<Record<string, TarType>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
}

const checkSum = (block: Buffer): void => {
  const sum = block.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0)
  if (sum !== number(block.subarray(148, 156))) throw new TarError(badHeader)
}

const decimal = (value: Buffer): number => {
  const digits = value.toString('latin1')
  if (!/^-?[0-9]+(\.[0-9]*)?$/.test(digits)) throw new TarError('A PAX header of the archive is damaged.')
  return Number(digits)
}

/** The records `<length> <key>=<value>\n` of a PAX header. */
const paxRecords = (data: Buffer): Map<string, Buffer> => {
  const records = new Map<string, Buffer>()
  let at = 0
  while (at < data.length) {
    const space = data.indexOf(0x20, at)
    const length = Number(data.subarray(at, space).toString('latin1'))
    const end = at + length
    const equals = data.indexOf(0x3d, space)
    const fits = space > at && Number.isInteger(length) && end <= data.length && equals > space && equals < end
    if (!fits || data[end - 1] !== 0x0a) throw new TarError('A PAX header of the archive is damaged.')
    records.set(data.subarray(space + 1, equals).toString('latin1'), data.subarray(equals + 1, end - 1))
    at = end
  }
  return records
}

interface Extras {
  pax: Map<string, Buffer>
  name: string | undefined
  link: string | undefined
}

/** What GNU tar says of a sparse file (format 1.0 of its manual); other formats are not read. */
const sparseOf = (pax: ReadonlyMap<string, Buffer>): { name: string; realSize: number } | undefined => {
  const said = (key: string): string | undefined => pax.get(`GNU.sparse.${key}`)?.toString('latin1')
  if (![...pax.keys()].some((key) => key.startsWith('GNU.sparse.'))) return undefined
  const [name, size] = [said('name'), Number(said('realsize'))]
  if (said('major') !== '1' || said('minor') !== '0' || name === undefined || !Number.isSafeInteger(size) || size < 0)
    throw new TarError('The archive holds a sparse file in a form that is not supported.')
  return { name, realSize: size }
}

const header = (block: Buffer, extras: Extras): TarHeader => {
  const { pax } = extras
  const flag = String.fromCharCode(block[156] ?? 0)
  const isPosix = block.subarray(257, 263).toString('latin1') === 'ustar\0'
  const prefix = isPosix ? text(block.subarray(345, 500)) : ''
  const short = text(block.subarray(0, 100))
  const sparse = sparseOf(pax)
  const name =
    sparse?.name ?? pax.get('path')?.toString('latin1') ?? extras.name ?? (prefix === '' ? short : `${prefix}/${short}`)
  const link = pax.get('linkpath')?.toString('latin1') ?? extras.link ?? text(block.subarray(157, 257))
  const plain = types[flag]
  if (plain === undefined)
    throw new TarError(`The archive holds an entry of an unknown kind (${JSON.stringify(flag)}).`)
  if (name.length > maxName || link.length > maxName)
    throw new TarError('A name in the archive is longer than 4096 bytes.')
  const type = plain === 'file' && name.endsWith('/') ? 'directory' : plain
  const value = (key: string, otherwise: () => number): number => {
    const record = pax.get(key)
    return record === undefined ? otherwise() : decimal(record)
  }
  const size = value('size', () => number(block.subarray(124, 136)))
  const ids = [
    value('uid', () => number(block.subarray(108, 116))),
    value('gid', () => number(block.subarray(116, 124))),
  ]
  const [uid = 0, gid = 0] = ids
  const mtimeText = pax.get('mtime')?.toString('latin1')
  const mtime = value('mtime', () => number(block.subarray(136, 148)))
  if (![size, uid, gid].every((one) => Number.isSafeInteger(one) && one >= 0) || !(Math.abs(mtime) < 2 ** 53))
    throw new TarError('A number in the archive is out of range.')
  const attributes = [...pax].filter(([key]) => key.startsWith(xattrKey))
  const isDevice = type === 'character' || type === 'block'
  return {
    name,
    type,
    mode: number(block.subarray(100, 108)) & 0o7777,
    uid,
    gid,
    // Only files have content, whatever a header of something else says; a hard link's size is that of its target.
    size: type === 'file' ? size : 0,
    mtime,
    ...(mtimeText === undefined ? {} : { mtimeText }),
    ...(sparse === undefined || type !== 'file' ? {} : { realSize: sparse.realSize }),
    link,
    xattrs: new Map(attributes.map(([key, bytes]) => [key.slice(xattrKey.length), bytes])),
    ...(isDevice
      ? { device: { major: number(block.subarray(329, 337)), minor: number(block.subarray(337, 345)) } }
      : {}),
  }
}

/**
 * The entries of a tar archive (ustar, PAX, GNU long names, sparse files of format 1.0), in order; the rest of the stream after its end is read
 * and dropped. Throws TarError. With `needsEnd`, an archive without its closing zero block is taken for cut off. `onGlobal` is told each record that is
 * of all entries.
 */
export async function* readTar(
  stream: AsyncIterable<Uint8Array>,
  needsEnd = false,
  onGlobal?: (key: string, value: Buffer) => void,
): AsyncGenerator<TarEntry> {
  const source = new ByteSource(stream)
  let global = new Map<string, Buffer>()
  let extras: Extras = { pax: new Map(), name: undefined, link: undefined }
  let entries = 0
  try {
    for (;;) {
      const block = await source.exactly(blockSize)
      if (block === undefined) {
        if (needsEnd) throw new TarError(entries === 0 ? 'The archive is empty.' : 'The archive is cut off.')
        return
      }
      if (block.every((byte) => byte === 0)) break
      checkSum(block)
      const flag = String.fromCharCode(block[156] ?? 0)
      if ('xgLK'.includes(flag)) {
        const size = number(block.subarray(124, 136))
        if (size > maxPax) throw new TarError('A header of the archive is too large.')
        const data = await source.exactly(size + ((blockSize - (size % blockSize)) % blockSize))
        const content = (data ?? Buffer.alloc(0)).subarray(0, size)
        if (size > 0 && data === undefined) throw new TarError('The archive ends in the middle.')
        if (flag === 'x') extras.pax = new Map([...global, ...paxRecords(content)])
        if (flag === 'g') {
          const records = paxRecords(content)
          for (const [key, value] of records) onGlobal?.(key, value)
          global = new Map([...global, ...records])
        }
        if (flag === 'L') extras.name = text(content)
        if (flag === 'K') extras.link = text(content)
        continue
      }
      if (extras.pax.size === 0) extras.pax = global
      const entry = header(block, extras)
      extras = { pax: new Map(), name: undefined, link: undefined }
      entries += 1
      if (entries > maxEntries) throw new TarError(`The archive has more than ${maxEntries} entries.`)
      let left = entry.size
      const body = async function* (): AsyncGenerator<Buffer> {
        while (left > 0) {
          const part = await source.some(left)
          if (part.length === 0) throw new TarError('The archive ends in the middle.')
          left -= part.length
          yield part
        }
      }
      yield { ...entry, body: { [Symbol.asyncIterator]: body } }
      for await (const _ of body());
      const padding = (blockSize - (entry.size % blockSize)) % blockSize
      if (padding > 0 && (await source.exactly(padding)) === undefined)
        throw new TarError('The archive ends in the middle.')
    }
    await source.drain()
  } catch (error) {
    if (error instanceof TarError) error.isNoArchive = entries === 0
    throw error
  } finally {
    await source.close()
  }
}
