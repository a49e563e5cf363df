import type { Readable } from 'node:stream'
import type { Connection } from './connection.ts'
import { type Head, readHead } from './head.ts'

/** How long boxd may take nothing of a body. A disk may be slow, but not so slow. */
const stallMs = 120_000

/** A rejection that is looked at later, or never. */
const held = <T>(promise: Promise<T>): Promise<T> => {
  promise.catch(() => undefined)
  return promise
}

/**
 * Sends a request with a body in chunks (RFC 9112, section 7.1), as fast as boxd takes it, and reads the head of the answer.
 * boxd may answer before it has all, when it refuses; then no more is sent. The body is left open, for its owner to end.
 * Rejects with what the body itself fails with.
 */
export async function sendBody(
  connection: Connection,
  requestHead: Buffer,
  body: Readable,
  answerMs: number,
): Promise<Head> {
  const head = held(readHead(connection))
  const { unlessAnswered, answered } = watchFor(head)
  const chunks = body.iterator({ destroyOnReturn: false })
  await write(connection, requestHead)
  for (;;) {
    const chunk = await unlessAnswered(held(chunks.next()))
    if (answered() || !chunk) return head
    if (chunk.done) break
    await unlessAnswered(held(writeChunk(connection, chunk.value)))
  }
  const done = connection.deadline(answerMs, 'answer')
  try {
    void held(connection.write(Buffer.from('0\r\n\r\n')))
    return await head
  } finally {
    done()
  }
}

/**
 * Waits for work, or for the answer when that comes first. Not by Promise.race: each race would leave its result, a chunk, on
 * the promise of the answer until that settles, which is the whole body in the end.
 */
function watchFor(head: Promise<Head>): {
  unlessAnswered: <T>(work: Promise<T>) => Promise<T | undefined>
  answered: () => boolean
} {
  let settled = false
  let wake: (() => void) | undefined
  const settle = (): void => {
    settled = true
    wake?.()
  }
  head.then(settle, settle)
  return {
    answered: () => settled,
    unlessAnswered: (work) =>
      new Promise((resolve, reject) => {
        wake = () => resolve(undefined)
        if (settled) wake()
        work.then(resolve, reject)
      }),
  }
}

async function writeChunk(connection: Connection, value: unknown): Promise<void> {
  const chunk = typeof value === 'string' ? Buffer.from(value) : value
  if (!(chunk instanceof Uint8Array)) throw new TypeError('A body must consist of bytes.')
  // An empty chunk would end the body.
  if (chunk.length === 0) return
  await write(connection, Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'))
}

async function write(connection: Connection, ...parts: Uint8Array[]): Promise<void> {
  const done = connection.deadline(stallMs, 'take any of the body')
  try {
    await connection.write(...parts)
  } finally {
    done()
  }
}
