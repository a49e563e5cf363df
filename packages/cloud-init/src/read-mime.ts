/** A part of a MIME message: its type in lower case, without parameters, and its text. */
export interface ReadPart {
  readonly type: string
  readonly text: string
}

/** The parts of a message, also of messages within it. Undefined when it is no MIME message that can be read. */
export function readMime(text: string): ReadPart[] | undefined {
  const message = headAndBody(text.replaceAll('\r\n', '\n'))
  const type = message && typeOf(message.headers)
  if (!message || !type) return undefined
  if (!type.startsWith('multipart/')) {
    const decoded = decode(message.body, message.headers.get('content-transfer-encoding') ?? '7bit')
    return decoded === undefined ? undefined : [{ type, text: decoded }]
  }
  const boundary = /;\s*boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(message.headers.get('content-type') ?? '')
  const mark = boundary?.[1] ?? boundary?.[2]
  if (!mark) return undefined
  const pieces = `\n${message.body}`.split(`\n--${mark}`)
  if (pieces.length < 3 || !pieces.at(-1)?.startsWith('--')) return undefined
  const parts = pieces.slice(1, -1).map((piece) => readMime(piece.replace(/^[ \t]*\n/, '')))
  return parts.every((part) => part !== undefined) ? parts.flat() : undefined
}

function headAndBody(text: string): { headers: Map<string, string>; body: string } | undefined {
  const end = text.indexOf('\n\n')
  if (end < 0) return undefined
  const headers = new Map<string, string>()
  // A line that begins with a space goes on with the one before.
  for (const line of text
    .slice(0, end)
    .replaceAll(/\n[ \t]+/g, ' ')
    .split('\n')) {
    const colon = line.indexOf(':')
    if (colon <= 0) return undefined
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
  }
  return { headers, body: text.slice(end + 2) }
}

const typeOf = (headers: ReadonlyMap<string, string>): string | undefined =>
  headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()

function decode(body: string, encoding: string): string | undefined {
  switch (encoding.toLowerCase()) {
    case '7bit':
    case '8bit':
    case 'binary':
      return body
    case 'base64':
      return Buffer.from(body, 'base64').toString('utf8')
    default:
      return undefined
  }
}
