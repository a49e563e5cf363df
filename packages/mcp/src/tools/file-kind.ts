const magics: readonly (readonly [string, string])[] = [
  ['7f454c46', 'an ELF program or library'],
  ['89504e470d0a1a0a', 'a PNG picture'],
  ['ffd8ff', 'a JPEG picture'],
  ['47494638', 'a GIF picture'],
  ['25504446', 'a PDF document'],
  ['1f8b', 'gzip data'],
  ['28b52ffd', 'zstd data'],
  ['fd377a585a00', 'xz data'],
  ['504b0304', 'a zip archive'],
  ['53514c69746520666f726d6174203300', 'a SQLite database'],
  ['0061736d', 'a WebAssembly module'],
]

/** What a file is by its first bytes, when it is no text in UTF-8; null: text. */
export function kindOf(head: Buffer): string | null {
  const hex = head.subarray(0, 16).toString('hex')
  if (isWebp(head)) return 'a WebP picture'
  const known = magics.find(([magic]) => hex.startsWith(magic))
  if (known) return known[1]
  return head.includes(0) || !isUtf8(head) ? 'binary data' : null
}

const isWebp = (head: Buffer): boolean =>
  head.toString('latin1', 0, 4) === 'RIFF' && head.toString('latin1', 8, 12) === 'WEBP'

function isUtf8(head: Buffer): boolean {
  try {
    // The last character may be cut.
    new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true })
    return true
  } catch {
    return false
  }
}

const pictures: readonly (readonly [string, string])[] = [
  ['89504e470d0a1a0a', 'image/png'],
  ['ffd8ff', 'image/jpeg'],
  ['47494638', 'image/gif'],
]

/** The media type of a picture that models can look at. */
export function pictureOf(head: Buffer): string | null {
  const hex = head.subarray(0, 16).toString('hex')
  return isWebp(head) ? 'image/webp' : (pictures.find(([magic]) => hex.startsWith(magic))?.[1] ?? null)
}
