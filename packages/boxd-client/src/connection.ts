import type { Duplex } from 'node:stream'
import { GibilError } from '@gibil/contract'
import { cancellation, unreachable, violation } from './failures.ts'
import type { Dial } from './types.ts'

/**
 * One byte stream to boxd. It is read only as far as asked, so what boxd sends waits in the kernel, not in memory. The first
 * failure, from wherever it comes (the stream, a signal, a deadline), is what every read and write then rejects with.
 */
export interface Connection {
  /** At most `max` bytes, at least one; undefined at the end. */
  read(max: number): Promise<Buffer | undefined>
  /** Exactly so many; undefined when the end comes before the first. Throws `boxd_unreachable` when it comes later. */
  readExactly(length: number): Promise<Buffer | undefined>
  /** Everything up to and including the delimiter. Throws `boxd_protocol` when that is not within `max` bytes. */
  readThrough(delimiter: string, max: number): Promise<Buffer | undefined>
  /** Resolves when all parts have left this process. */
  write(...parts: readonly Uint8Array[]): Promise<void>
  /** Ends the connection with a reason. */
  fail(reason: GibilError): void
  /** Ends the connection after use. */
  close(): void
  /** Hands the stream over, with what was received but not read. */
  release(): Duplex
  /** Fails the connection unless the returned function is called within so many ms. */
  deadline(ms: number, doing: string): () => void
  readonly closed: boolean
}

const empty = Buffer.alloc(0)

/** Dials. Throws `boxd_unreachable`, `cancelled` and what the dial function throws as GibilError. */
export async function openConnection(dial: Dial, signal: AbortSignal | undefined): Promise<Connection> {
  if (signal?.aborted) throw cancellation(signal)
  let stream: Duplex
  try {
    stream = await dial(signal)
  } catch (error) {
    if (signal?.aborted) throw cancellation(signal)
    throw GibilError.is(error) ? error : unreachable('The box cannot be reached.', error)
  }
  return connectionOver(stream, signal)
}

function connectionOver(stream: Duplex, signal: AbortSignal | undefined): Connection {
  let rest: Buffer = empty
  let failure: GibilError | undefined
  let ended = stream.readableEnded
  let closed = false
  let wake: (() => void) | undefined
  const writes = new Set<(error: GibilError) => void>()

  const wakeUp = (): void => {
    const waiting = wake
    wake = undefined
    waiting?.()
  }
  const fail = (reason: GibilError): void => {
    if (failure || closed) return
    failure = reason
    cleanUp()
    stream.destroy()
    for (const reject of writes) reject(reason)
    writes.clear()
    wakeUp()
  }
  const onEnd = (): void => {
    ended = true
    wakeUp()
  }
  const onError = (error: unknown): void => fail(unreachable('The connection to the box was lost.', error))
  const onClose = (): void => {
    if (!ended) fail(unreachable('The connection to the box was lost.'))
  }
  const onAbort = (): void => {
    if (signal) fail(cancellation(signal))
  }
  const cleanUp = (): void => {
    stream.off('readable', wakeUp)
    stream.off('end', onEnd)
    stream.off('close', onClose)
    signal?.removeEventListener('abort', onAbort)
  }
  stream.on('error', onError)
  stream.on('readable', wakeUp)
  stream.on('end', onEnd)
  stream.on('close', onClose)
  signal?.addEventListener('abort', onAbort)
  if (signal?.aborted) onAbort()

  /** More bytes in `rest`; false at the end. */
  const more = async (): Promise<boolean> => {
    for (;;) {
      if (failure) throw failure
      if (closed) return false
      const chunk: Buffer | null = stream.read()
      if (chunk) {
        rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
        return true
      }
      if (ended) return false
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  const take = (length: number): Buffer => {
    const taken = rest.subarray(0, length)
    rest = length === rest.length ? empty : rest.subarray(length)
    return taken
  }

  return {
    async read(max) {
      if (rest.length === 0 && !(await more())) return undefined
      return take(Math.min(max, rest.length))
    },
    async readExactly(length) {
      if (rest.length >= length) return take(length)
      const pieces: Buffer[] = []
      let missing = length
      while (missing > 0) {
        if (rest.length === 0 && !(await more())) {
          if (missing === length) return undefined
          throw unreachable('The connection to the box was cut in the middle of an answer.')
        }
        const piece = take(Math.min(missing, rest.length))
        pieces.push(piece)
        missing -= piece.length
      }
      return Buffer.concat(pieces, length)
    },
    async readThrough(delimiter, max) {
      for (let searched = 0; ; ) {
        const at = rest.indexOf(delimiter, searched, 'latin1')
        if (at >= 0 && at + delimiter.length <= max) return take(at + delimiter.length)
        if (at >= 0 || rest.length >= max) throw violation(`more than ${max} bytes where a short line or head must be`)
        searched = Math.max(0, rest.length - delimiter.length + 1)
        if (!(await more())) {
          if (rest.length === 0) return undefined
          throw unreachable('The connection to the box was cut in the middle of an answer.')
        }
      }
    },
    write(...parts) {
      return new Promise((resolve, reject) => {
        if (failure || closed) return reject(failure ?? unreachable('The connection to the box was closed.'))
        writes.add(reject)
        const done = (error?: Error | null): void => {
          writes.delete(reject)
          if (error) reject(failure ?? unreachable('The connection to the box was lost.', error))
          else resolve()
        }
        if (parts.length > 1) stream.cork()
        parts.forEach((part, index) => {
          stream.write(part, index === parts.length - 1 ? done : undefined)
        })
        if (parts.length > 1) stream.uncork()
      })
    },
    fail,
    close() {
      if (closed) return
      closed = true
      rest = empty
      cleanUp()
      stream.destroy()
      for (const reject of writes) reject(unreachable('The connection to the box was closed.'))
      writes.clear()
      wakeUp()
    },
    release() {
      if (failure) throw failure
      closed = true
      cleanUp()
      stream.off('error', onError)
      if (rest.length > 0) stream.unshift(rest)
      rest = empty
      return stream
    },
    deadline(ms, doing) {
      const timer = setTimeout(() => fail(unreachable(`boxd did not ${doing} within ${ms / 1000} s.`)), ms)
      return () => clearTimeout(timer)
    },
    get closed() {
      return closed
    },
  }
}
