import { createReadStream, createWriteStream } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { GibilError } from '@gibil/contract'
import type { Recorded, ResultKind, SessionFiles } from '@gibil/core'

interface Limits {
  /** Of a recording. It is in two parts, of which the older goes when the newer is half of it. */
  readonly recordingBytes: number
  readonly resultBytes: number
}

const defaults: Limits = { recordingBytes: 16 * 1024 * 1024, resultBytes: 1024 * 1024 * 1024 }

/** Before the bytes of each piece: where they begin (8 bytes), milliseconds as a double (8), how many they are (4). */
const headBytes = 20
/** More than a piece may have: longer ones are remains of a write that was cut off. */
const maxPiece = 16 * 1024 * 1024

const parts = ['recording.1', 'recording.0'] as const
const [older, newer] = parts

/** How far apart the places are from which reading can begin. */
const markEvery = 256 * 1024

/** What is known of a recording while the daemon runs. */
interface Known {
  next: number
  /** Of the newer part. */
  length: number
  /** Places in the newer part where a piece begins, with its offset; the first is its beginning. */
  marks: { readonly offset: number; readonly position: number }[]
  /** The last change or opening of its files. */
  turn: Promise<unknown>
}

/** Recordings and results, a directory for each session in `dir`. One writer at a time for each. */
export function createSessionFiles(dir: string, limits: Partial<Limits> = {}): SessionFiles {
  const { recordingBytes, resultBytes } = { ...defaults, ...limits }
  const known = new Map<string, Promise<Known>>()
  const at = (id: string, name: string): string => join(dir, id, name)

  const mark = ({ marks }: Known, offset: number, position: number): void => {
    const last = marks.at(-1)
    if (!last || position - last.position >= markEvery) marks.push({ offset, position })
  }
  /** Looks where a recording ends, and takes away what a crash has left of its last piece. */
  const look = async (id: string): Promise<Known> => {
    const state: Known = { next: 0, length: 0, marks: [], turn: Promise.resolve() }
    for (const name of parts) {
      Object.assign(state, { length: 0, marks: [] })
      const file = await openIfThere(at(id, name))
      if (!file) continue
      for await (const { offset, data, position, end } of pieces(file)) {
        mark(state, offset, position)
        state.next = offset + data.length
        state.length = end
      }
    }
    const size = (await stat(at(id, newer)).catch(() => undefined))?.size ?? 0
    if (size > state.length) await truncate(at(id, newer), state.length)
    return state
  }
  const of = (id: string): Promise<Known> => {
    const found = known.get(id) ?? look(id)
    known.set(id, found)
    found.catch(() => known.delete(id))
    return found
  }
  const alone = async <T>(id: string, work: (state: Known) => Promise<T>): Promise<T> => {
    const state = await of(id)
    const result = state.turn.then(() => work(state))
    state.turn = result.catch(() => undefined)
    return result
  }

  return {
    nextOffset: async (id) => (await of(id)).next,

    async append(id, recorded) {
      const first = recorded[0]
      const last = recorded.at(-1)
      if (!first || !last) return
      const bytes = Buffer.concat(recorded.flatMap((piece) => [headOf(piece), piece.data]))
      await alone(id, async (state) => {
        await mkdir(join(dir, id), { recursive: true, mode: 0o700 })
        if (state.length > 0 && state.length + bytes.length > recordingBytes / 2) {
          await rename(at(id, newer), at(id, older))
          Object.assign(state, { length: 0, marks: [] })
        }
        const file = await open(at(id, newer), 'a', 0o600)
        try {
          await file.appendFile(bytes)
        } catch (error) {
          // What came of it is taken away, so that the next piece does not follow half of this one.
          await file.truncate(state.length)
          throw error
        } finally {
          await file.close()
        }
        mark(state, first.offset, state.length)
        state.length += bytes.length
        state.next = last.offset + last.data.length
      })
    },

    async *read(id, from) {
      // Opened together, so that a part that becomes the older one meanwhile is neither missed nor read twice.
      const files = await alone(id, async ({ marks }) => {
        const begin = marks.findLast(({ offset }) => offset <= from)
        const inOlder = begin ? undefined : await openIfThere(at(id, older))
        return [
          [inOlder, 0],
          [await openIfThere(at(id, newer)), begin?.position ?? 0],
        ] as const
      })
      try {
        for (const [file, position] of files) {
          if (!file) continue
          for await (const { offset, ms, data } of pieces(file, position)) {
            if (offset + data.length > from) yield { offset, ms, data }
          }
        }
      } finally {
        for (const [file] of files) await file?.close()
      }
    },

    async keepResult(id, kind, body) {
      await mkdir(join(dir, id), { recursive: true, mode: 0o700 })
      const fresh = at(id, `${kind}.new`)
      let length = 0
      const bounded = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          length += chunk.length
          done(length > resultBytes ? tooLong(kind, resultBytes) : null, chunk)
        },
      })
      try {
        await pipeline(body, bounded, createWriteStream(fresh, { mode: 0o600 }))
      } catch (error) {
        await rm(fresh, { force: true })
        throw error
      }
      await rename(fresh, at(id, kind))
      return length
    },

    async result(id, kind) {
      const file = await open(at(id, kind), 'r').catch(() => undefined)
      return file && createReadStream('', { fd: file })
    },

    async remove(id) {
      known.delete(id)
      await rm(join(dir, id), { recursive: true, force: true })
    },
  }
}

function headOf({ offset, ms, data }: Recorded): Buffer {
  const head = Buffer.alloc(headBytes)
  head.writeDoubleBE(offset, 0)
  head.writeDoubleBE(ms, 8)
  head.writeUInt32BE(data.length, 16)
  return head
}

interface Piece extends Recorded {
  readonly position: number
  readonly end: number
}

/** The whole pieces of one part from a position on, where one begins. Closes the file. */
async function* pieces(file: FileHandle, from = 0): AsyncGenerator<Piece> {
  try {
    let bytes = Buffer.alloc(0)
    for (let position = from; ; ) {
      const length = bytes.length < headBytes ? headBytes : headBytes + bytes.readUInt32BE(16)
      if (length > headBytes + maxPiece) return
      if (bytes.length < length || bytes.length < headBytes) {
        const more = await file.read(Buffer.alloc(Math.max(markEvery, length)), 0, null, position + bytes.length)
        if (more.bytesRead === 0) return
        bytes = Buffer.concat([bytes, more.buffer.subarray(0, more.bytesRead)])
        continue
      }
      const end = position + length
      const data = bytes.subarray(headBytes, length)
      yield { offset: bytes.readDoubleBE(0), ms: bytes.readDoubleBE(8), data, position, end }
      bytes = bytes.subarray(length)
      position = end
    }
  } finally {
    await file.close()
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  return open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

const tooLong = (kind: ResultKind, most: number): GibilError =>
  new GibilError('payload_too_large', `The ${kind} of the session is larger than ${most / 1024 / 1024} MiB.`, {
    hint: 'The box is kept: fetch what matters with `gibil cp` or `gibil pull`, and let .gitignore name the rest.',
  })
