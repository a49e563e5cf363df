/**
 * One entry of a tar archive. Names are byte strings (latin1, one character a byte), since file names need not be text; extended
 * attributes are bytes, since `security.capability` is binary. (That is why the reader is our own: tar-stream decodes both
 * as UTF-8 and loses what is not.)
 */
export interface TarHeader {
  readonly name: string
  readonly type: TarType
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  /** Seconds since the epoch, with a fraction if the archive had one. */
  readonly mtime: number
  /** The same as the archive has it, where a number would lose its nanoseconds. */
  readonly mtimeText?: string
  /** Of a sparse file in GNU's format 1.0: its size with the holes. The content begins with a map of what is none. */
  readonly realSize?: number
  /** What a link points to. */
  readonly link: string
  readonly xattrs: ReadonlyMap<string, Buffer>
  readonly device?: { readonly major: number; readonly minor: number }
}

export type TarType = 'file' | 'directory' | 'symlink' | 'link' | 'character' | 'block' | 'fifo'

export const blockSize = 512
export const xattrKey = 'SCHILY.xattr.'

/** The byte string of a text, and the text of a byte string. */
export const toBytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')
export const toText = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8')
