import type { Connection } from './connection.ts'
import { unreachable, violation } from './failures.ts'

/** The head of an answer, at most so long. */
const maxHeadBytes = 16 * 1024
const maxHeaders = 64

export interface Head {
  readonly status: number
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>
}

/** How long a body is: so many bytes, or chunks until the last. */
export type BodyLength = number | 'chunked'

/** Reads status line and headers (RFC 9112), refusing whatever boxd has no reason to send. */
export async function readHead(connection: Connection): Promise<Head> {
  const bytes = await connection.readThrough('\r\n\r\n', maxHeadBytes)
  if (!bytes) throw unreachable('boxd closed the connection without an answer.')
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, bytes.length - 4).split('\r\n')
  const status = /^HTTP\/1\.1 ([1-5]\d\d)(?: [\x20-\x7e]*)?$/.exec(statusLine)?.[1]
  if (status === undefined) throw violation('something that is not an answer of HTTP/1.1')
  if (lines.length > maxHeaders) throw violation(`more than ${maxHeaders} headers`)
  const headers = new Map<string, string>()
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([\x20-\x7e\t]*)$/.exec(line) ?? []
    if (name === undefined || value === undefined) throw violation('a header that cannot be read')
    if (headers.has(name.toLowerCase())) throw violation(`the header ${name} twice`)
    headers.set(name.toLowerCase(), value.trim())
  }
  return { status: Number(status), headers }
}

/** Throws `boxd_protocol` unless exactly one of the two ways to say it is used. */
export function bodyLength({ status, headers }: Head): BodyLength {
  const length = headers.get('content-length')
  const coding = headers.get('transfer-encoding')
  if (status === 204) return 0
  if (coding !== undefined) {
    if (coding.toLowerCase() !== 'chunked' || length !== undefined) throw violation('a body of an unclear length')
    return 'chunked'
  }
  if (length === undefined || !/^\d{1,15}$/.test(length)) throw violation('a body of an unclear length')
  return Number(length)
}
