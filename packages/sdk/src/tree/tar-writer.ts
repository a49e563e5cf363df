import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'

/** One thing to pack. `name` is relative, with `/`; content comes from `path` on this machine, or from `data`. */
export type TarEntry = {
  readonly name: string
  readonly mode: number
  readonly mtimeMs?: number
} & (
  | { readonly kind: 'directory' }
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'file'; readonly data: Uint8Array }
)

const blockBytes = 512
const chunkBytes = 256 * 1024
/** Files up to this size are read ahead of their turn, so that many small ones do not cost a round of waiting each. */
const smallBytes = 64 * 1024
const readAhead = 16
const maxOctalSize = 0o77777777777

/** Packs entries into a tar stream (ustar, with PAX records where a name or size does not fit). Holds a few files at most. */
export function tarStream(entries: AsyncIterable<TarEntry> | Iterable<TarEntry>): Readable {
  return Readable.from(pack(entries), { objectMode: false, highWaterMark: 4 * chunkBytes })
}

async function* pack(entries: AsyncIterable<TarEntry> | Iterable<TarEntry>): AsyncGenerator<Buffer> {
  for await (const opened of ahead(entries, readAhead, openEntry)) {
    if (opened) yield* packOne(opened)
  }
  yield Buffer.alloc(2 * blockBytes)
}

interface Opened {
  readonly entry: TarEntry
  readonly size: number
  readonly data?: Uint8Array
  readonly handle?: FileHandle
  readonly mtimeMs: number
}

/** A file that vanished since it was listed is left out, as `tar` does. */
async function openEntry(entry: TarEntry): Promise<Opened | undefined> {
  const mtimeMs = entry.mtimeMs ?? 0
  if (entry.kind !== 'file') return { entry, size: 0, mtimeMs }
  if ('data' in entry) return { entry, size: entry.data.byteLength, data: entry.data, mtimeMs }
  const handle = await open(entry.path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (!handle) return undefined
  const { size, mtimeMs: modified } = await handle.stat()
  if (size > smallBytes) return { entry, size, handle, mtimeMs: modified }
  try {
    const data = await handle.readFile()
    return { entry, size: data.byteLength, data, mtimeMs: modified }
  } finally {
    await handle.close()
  }
}

async function* packOne({ entry, size, data, handle, mtimeMs }: Opened): AsyncGenerator<Buffer> {
  try {
    yield header(entry, size, mtimeMs)
    if (data) yield Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    else if (handle) yield* content(handle, size)
    const rest = size % blockBytes
    if (rest > 0) yield Buffer.alloc(blockBytes - rest)
  } finally {
    await handle?.close()
  }
}

/** Exactly `size` bytes, as the header promised: a file that grows meanwhile is cut, one that shrinks is filled up. */
async function* content(handle: FileHandle, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < size; ) {
    const want = Math.min(chunkBytes, size - at)
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(want), 0, want, at)
    if (bytesRead === 0) {
      yield Buffer.alloc(want)
      at += want
    } else {
      yield buffer.subarray(0, bytesRead)
      at += bytesRead
    }
  }
}

const typeFlag = { file: '0', symlink: '2', directory: '5' } as const

function header(entry: TarEntry, size: number, mtimeMs: number): Buffer {
  const name = entry.kind === 'directory' && !entry.name.endsWith('/') ? `${entry.name}/` : entry.name
  const target = entry.kind === 'symlink' ? entry.target : ''
  const records: Record<string, string> = {}
  if (!fits(name, 100)) records['path'] = name
  if (!fits(target, 100)) records['linkpath'] = target
  if (size > maxOctalSize) records['size'] = String(size)
  const block = ustar({
    name,
    target,
    size: Math.min(size, maxOctalSize),
    type: typeFlag[entry.kind],
    mode: entry.mode,
    mtimeMs,
  })
  if (Object.keys(records).length === 0) return block
  const extended = paxRecords(records)
  const paxBlock = ustar({ name: 'pax', target: '', size: extended.length, type: 'x', mode: 0o644, mtimeMs })
  const padding = Buffer.alloc((blockBytes - (extended.length % blockBytes)) % blockBytes)
  return Buffer.concat([paxBlock, extended, padding, block])
}

const fits = (text: string, bytes: number): boolean => Buffer.byteLength(text) <= bytes && /^[\x20-\x7e]*$/.test(text)

/** `<length> <key>=<value>\n`, where the length counts itself (pax, POSIX.1-2001). */
function paxRecords(records: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`)
    let length = rest + String(rest).length
    if (rest + String(length).length > length) length += 1
    return `${length} ${key}=${value}\n`
  })
  return Buffer.from(lines.join(''))
}

interface UstarFields {
  readonly name: string
  readonly target: string
  readonly size: number
  readonly type: string
  readonly mode: number
  readonly mtimeMs: number
}

function ustar({ name, target, size, type, mode, mtimeMs }: UstarFields): Buffer {
  const block = Buffer.alloc(blockBytes)
  const octal = (value: number, at: number, width: number): number =>
    block.write(
      `${Math.max(0, Math.floor(value))
        .toString(8)
        .padStart(width - 1, '0')}\0`,
      at,
      width,
      'latin1',
    )
  block.write(name, 0, 100)
  octal(mode & 0o7777, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(size, 124, 12)
  octal(mtimeMs / 1000, 136, 12)
  block.write('        ', 148, 8, 'latin1')
  block.write(type, 156, 1, 'latin1')
  block.write(target, 157, 100)
  block.write('ustar\x0000', 257, 8, 'latin1')
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1')
  return block
}

/** Maps in order while up to `count` later items are already under way. */
async function* ahead<T, R>(
  items: AsyncIterable<T> | Iterable<T>,
  count: number,
  map: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const running: Promise<R>[] = []
  try {
    for await (const item of items) {
      const result = map(item)
      // Its failure is thrown when its turn comes, and must not be unhandled until then.
      result.catch(() => {})
      running.push(result)
      if (running.length >= count) yield await (running.shift() as Promise<R>)
    }
    for (let next = running.shift(); next; next = running.shift()) yield await next
  } finally {
    for (const left of await Promise.allSettled(running)) {
      if (left.status === 'fulfilled') await (left.value as Opened | undefined)?.handle?.close()
    }
  }
}
