import { blockSize, type TarHeader } from '../tar-format.ts'
import { encodeHeader, paddingOf, tarEnd } from '../tar-write.ts'

/**
 * The form of an exported box: a tar archive whose first entry is the manifest and whose last one is the checksum of every byte before it; between them
 * the tree as boxd sends it, without the end of that archive. Both have one form of header, so that it is compared and not read.
 */
const file = (name: string, size: number): Buffer =>
  encodeHeader({
    name,
    size,
    type: 'file',
    mode: 0o600,
    uid: 0,
    gid: 0,
    mtime: 0,
    link: '',
    xattrs: new Map(),
  } satisfies TarHeader)

/** 1 MiB: its environment and the text of its `.gibil.yml` are the most of it. */
export const maxManifestBytes = 1024 * 1024
export const manifestHeader = (size: number): Buffer => file('gibil-box.json', size)

const sumHeader = file('gibil-box.sum', blockSize)
/** The checksum and the end of the archive, always of one length. */
export const trailerBytes = sumHeader.length + blockSize + tarEnd.length

export const encodeManifest = (text: string): Buffer => {
  const content = Buffer.from(text)
  return Buffer.concat([manifestHeader(content.length), content, paddingOf(content.length)])
}

export const encodeTrailer = (sha256: string, bytes: number): Buffer => {
  const content = `${JSON.stringify({ sha256, bytes })}\n`.padEnd(blockSize, '\n')
  return Buffer.concat([sumHeader, Buffer.from(content, 'latin1'), tarEnd])
}

/** How long the manifest is by its header. */
export const sizeInHeader = (header: Buffer): number => Number.parseInt(header.subarray(124, 135).toString('latin1'), 8)
