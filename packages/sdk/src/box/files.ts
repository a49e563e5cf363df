import { Readable } from 'node:stream'
import { FileEvent, FileInfo, GibilError } from '@gibil/contract'
import * as z from 'zod'
import { readEvents } from '../connect/sse.ts'
import type { Transport } from '../connect/transport.ts'
import { type DownloadOptions, type DownloadResult, downloadTree } from '../tree/download.ts'
import type { TarEntry } from '../tree/tar-writer.ts'
import { sendTar, type UploadOptions, uploadTree } from '../tree/upload.ts'

interface Cancel {
  readonly signal?: AbortSignal | undefined
}

export interface ReadOptions extends Cancel {
  /** First byte, and the last one, inclusive. */
  readonly start?: number | undefined
  readonly end?: number | undefined
}

export interface WriteOptions extends Cancel {
  /** Owner of the file; default: the user of the box. */
  readonly user?: string | undefined
  /** Permission bits such as 0o755; default 0o644, or what the file had. */
  readonly mode?: number | undefined
}

export interface ReplaceOptions extends WriteOptions {
  /** SHA-256 in hex of what the file has to be, or `none`: one that is something else stays, and `file_conflict` is thrown. */
  readonly ifHash?: string | undefined
}

export type FileData = string | Uint8Array | Readable | AsyncIterable<string | Uint8Array>

/** Files in a box. Paths are absolute, start with `~`, or are relative to the home directory. */
export interface Files {
  /** The whole file. Throws `payload_too_large` beyond `maxBytes` (default 64 MiB): use `stream` then. */
  read(path: string, options?: ReadOptions & { readonly maxBytes?: number }): Promise<Buffer>
  /** The same as text in UTF-8. */
  text(path: string, options?: ReadOptions & { readonly maxBytes?: number }): Promise<string>
  stream(path: string, options?: ReadOptions): Promise<Readable>
  /** Replaces the file at once, never half; parents are made. */
  write(path: string, data: FileData, options?: ReplaceOptions): Promise<FileInfo>
  /** With `follow: false`, of a symlink itself. */
  stat(path: string, options?: Cancel & { readonly follow?: boolean }): Promise<FileInfo>
  /** Sorted by path; `depth` 1 by default. */
  list(path: string, options?: Cancel & { readonly depth?: number | undefined }): Promise<FileInfo[]>
  exists(path: string, options?: Cancel): Promise<boolean>
  /** With parents; fine when it exists. */
  mkdir(path: string, options?: WriteOptions): Promise<void>
  move(from: string, to: string, options?: Cancel & { readonly overwrite?: boolean }): Promise<void>
  remove(path: string, options?: Cancel & { readonly recursive?: boolean }): Promise<void>
  chmod(path: string, mode: number, options?: Cancel & { readonly recursive?: boolean }): Promise<void>
  /** What changes below a path, from the moment of the first call of `next`, until the signal or the end of the loop. */
  watch(path: string, options?: Cancel & { readonly recursive?: boolean }): AsyncIterable<FileEvent>
  /** Copies the contents of a local directory (or one file) below a directory of the box. */
  upload(local: string, path: string, options?: UploadOptions): Promise<void>
  /** Unpacks entries of one's own making below a directory of the box. */
  uploadEntries(
    entries: AsyncIterable<TarEntry> | Iterable<TarEntry>,
    path: string,
    options?: Cancel & { readonly user?: string | undefined },
  ): Promise<void>
  /** Copies the contents of a directory of the box below a local one; nothing is ever written outside of it. */
  download(path: string, local: string, options?: DownloadOptions): Promise<DownloadResult>
}

const defaultMaxBytes = 64 * 1024 * 1024
const octal = (mode: number | undefined): string | undefined => mode?.toString(8)

export function createFiles(transport: Transport, box: () => string): Files {
  const files = (rest = ''): string => `${box()}/files${rest}`

  const stream: Files['stream'] = async (path, { start, end, signal } = {}) => {
    const ranged = start !== undefined || end !== undefined
    const headers = ranged ? { range: `bytes=${start ?? 0}-${end ?? ''}` } : undefined
    return transport.download(files(), { query: { path }, headers, signal })
  }

  const read: Files['read'] = async (path, { maxBytes = defaultMaxBytes, ...options } = {}) => {
    const source = await stream(path, options)
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of source) {
      size += chunk.length
      if (size > maxBytes) {
        throw new GibilError('payload_too_large', `${path} is larger than ${maxBytes} bytes.`, {
          hint: 'Read a part of it, or as a stream.',
          details: { path, maxBytes },
        })
      }
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  }

  const stat: Files['stat'] = (path, { follow, signal } = {}) =>
    transport.call(FileInfo, 'GET', files('/stat'), { query: { path, follow }, signal })

  return {
    read,
    text: async (path, options) => (await read(path, options)).toString('utf8'),
    stream,
    write: (path, data, { user, mode, ifHash, signal } = {}) =>
      transport.call(FileInfo, 'PUT', files(), {
        query: { path, user, mode: octal(mode), ifHash },
        raw: body(data),
        headers: { 'content-type': 'application/octet-stream' },
        signal,
      }),
    stat,
    list: (path, { depth, signal } = {}) =>
      transport.call(z.array(FileInfo), 'GET', files('/list'), { query: { path, depth }, signal }),
    async exists(path, options) {
      try {
        await stat(path, options)
        return true
      } catch (error) {
        if (GibilError.is(error) && error.code === 'file_not_found') return false
        throw error
      }
    },
    mkdir: (path, { signal, ...rest } = {}) =>
      transport.send('POST', files('/mkdir'), { body: { path, ...rest }, signal }),
    move: (from, to, { signal, ...rest } = {}) =>
      transport.send('POST', files('/move'), { body: { from, to, ...rest }, signal }),
    remove: (path, { recursive, signal } = {}) =>
      transport.send('DELETE', files(), { query: { path, recursive: recursive ? 1 : undefined }, signal }),
    chmod: (path, mode, { signal, ...rest } = {}) =>
      transport.send('POST', files('/chmod'), { body: { path, mode, ...rest }, signal }),
    async *watch(path, { recursive, signal } = {}) {
      const query = { path, recursive: recursive === false ? 0 : 1 }
      for await (const event of readEvents(transport, 'GET', files('/watch'), { query, signal })) {
        const change = FileEvent.safeParse(JSON.parse(event.data))
        if (change.success) yield change.data
        else if (event.event === 'error') throw GibilError.fromBody(JSON.parse(event.data), 'The watch failed.')
      }
    },
    upload: (local, path, options) => uploadTree(transport, `${box()}/tar`, local, path, options),
    uploadEntries: (entries, path, { user, signal } = {}) =>
      sendTar(transport, `${box()}/tar`, entries, { query: { path, user }, signal }),
    download: (path, local, options) => downloadTree(transport, `${box()}/tar`, path, local, options),
  }
}

function body(data: FileData): Uint8Array | Readable {
  if (typeof data === 'string') return Buffer.from(data)
  if (data instanceof Uint8Array || data instanceof Readable) return data
  return Readable.from(data, { objectMode: false })
}
