import { Readable } from 'node:stream'
import { GibilError } from '@gibil/contract'
import type { Connection } from './connection.ts'
import { unreachable, violation } from './failures.ts'
import type { BodyLength } from './head.ts'

const readBytes = 256 * 1024
const maxChunkLine = 1024

/** Gives the next piece of a body, or undefined when it is whole. */
export type BodyReader = () => Promise<Buffer | undefined>

const cut = () => unreachable('The connection to the box was cut in the middle of an answer.')

export function bodyReader(connection: Connection, length: BodyLength): BodyReader {
  return length === 'chunked' ? chunkedReader(connection) : sizedReader(connection, length)
}

function sizedReader(connection: Connection, length: number): BodyReader {
  let left = length
  return async () => {
    if (left === 0) return undefined
    const piece = await connection.read(Math.min(left, readBytes))
    if (!piece) throw cut()
    left -= piece.length
    return piece
  }
}

/** RFC 9112, section 7.1. Trailers are not used. */
function chunkedReader(connection: Connection): BodyReader {
  let left = 0
  let done = false
  const line = async (): Promise<string> => {
    const bytes = await connection.readThrough('\r\n', maxChunkLine)
    if (!bytes) throw cut()
    return bytes.toString('latin1', 0, bytes.length - 2)
  }
  const nextChunk = async (): Promise<void> => {
    const size = /^([0-9a-fA-F]{1,12})$/.exec(await line())?.[1]
    if (size === undefined) throw violation('a chunk of an unclear length')
    left = Number.parseInt(size, 16)
    if (left > 0) return
    if ((await line()) !== '') throw violation('something after the last chunk')
    done = true
  }
  return async () => {
    if (done) return undefined
    if (left === 0) await nextChunk()
    if (done) return undefined
    const piece = await connection.read(Math.min(left, readBytes))
    if (!piece) throw cut()
    left -= piece.length
    if (left === 0 && (await line()) !== '') throw violation('a chunk that is longer than it said')
    return piece
  }
}

/**
 * Collects a body that must not be longer than `max` bytes. Pieces are copied and let go: a box may send each byte as a chunk, and kept
 * pieces would take a hundred times what they hold. Throws `boxd_protocol`.
 */
export async function readWhole(next: BodyReader, max: number): Promise<Buffer> {
  let whole = Buffer.allocUnsafe(16 * 1024)
  let length = 0
  for (let piece = await next(); piece; piece = await next()) {
    const end = length + piece.length
    if (end > max) throw violation(`an answer of more than ${max} bytes`)
    if (end > whole.length) {
      const larger = Buffer.allocUnsafe(Math.max(end, whole.length * 2))
      whole.copy(larger, 0, 0, length)
      whole = larger
    }
    piece.copy(whole, length)
    length = end
  }
  return whole.subarray(0, length)
}

/** A body as a stream. The connection lasts as long as the stream. */
export function readableBody(connection: Connection, next: BodyReader): Readable {
  return new Readable({
    highWaterMark: readBytes,
    read() {
      next().then(
        (piece) => {
          if (!piece) connection.close()
          this.push(piece ?? null)
        },
        (error: unknown) => this.destroy(GibilError.from(error, 'boxd_unreachable')),
      )
    },
    destroy(error, callback) {
      connection.close()
      callback(error)
    },
  })
}
