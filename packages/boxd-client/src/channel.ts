import { Exit, FrameType, Job, maxFrameBytes } from '@gibil/contract'
import * as z from 'zod'
import type { Connection } from './connection.ts'
import { parseJson } from './exchange.ts'
import { refusal, unreachable, violation } from './failures.ts'
import type { CommandChannel, Frame } from './types.ts'

const headerBytes = 5

const Started = z.object({ job: Job, offset: z.int().min(0) })
const Gap = z.object({ from: z.int().min(0), to: z.int().min(0) })

/** What boxd may send, and how a payload that is JSON must look. */
const fromBoxd = new Map<number, { readonly type: FrameType; readonly schema?: z.ZodType }>([
  [FrameType.stdout, { type: FrameType.stdout }],
  [FrameType.stderr, { type: FrameType.stderr }],
  [FrameType.exit, { type: FrameType.exit, schema: Exit }],
  [FrameType.started, { type: FrameType.started, schema: Started }],
  [FrameType.gap, { type: FrameType.gap, schema: Gap }],
  [FrameType.error, { type: FrameType.error }],
])

/** Speaks frames over a connection that boxd has upgraded. `startMs` is how long the first frame may take. */
export function commandChannel(connection: Connection, startMs: number): CommandChannel {
  const frames = readFrames(connection, startMs)
  return {
    [Symbol.asyncIterator]: () => frames,
    async send(type, payload) {
      for (let at = 0; at === 0 || at < payload.length; at += maxFrameBytes) {
        const piece = payload.subarray(at, at + maxFrameBytes)
        const header = Buffer.allocUnsafe(headerBytes)
        header.writeUInt8(type, 0)
        header.writeUInt32BE(piece.length, 1)
        await (piece.length === 0 ? connection.write(header) : connection.write(header, piece))
      }
    },
    close: () => connection.close(),
  }
}

/**
 * Frames in their order: `started`, then output and gaps, then `exit` or `error`. Output comes in pieces as it arrives, which
 * need not be the frames that boxd sent. Ends early only when the channel is closed here.
 */
async function* readFrames(connection: Connection, startMs: number): AsyncGenerator<Frame> {
  try {
    const started = connection.deadline(startMs, 'start the command')
    let first = true
    for (;;) {
      const header = await connection.readExactly(headerBytes)
      if (!header) {
        if (connection.closed) return
        throw unreachable('The connection to the box ended before the command did.')
      }
      const length = header.readUInt32BE(1)
      const known = fromBoxd.get(header.readUInt8(0))
      if (!known) throw violation(`a frame of the type ${header.readUInt8(0)}`)
      if (length > maxFrameBytes) throw violation(`a frame of ${length} bytes`)
      const { type, schema } = known
      if (first !== (type === FrameType.started) && type !== FrameType.error) {
        throw violation(`a frame of the type ${type} out of order`)
      }
      if (type === FrameType.stdout || type === FrameType.stderr) {
        yield* readOutput(connection, type, length)
        continue
      }
      yield await readJsonFrame(connection, type, length, schema)
      if (first) started()
      first = false
      if (type === FrameType.exit || type === FrameType.error) return
    }
  } catch (error) {
    if (!connection.closed) throw error
  } finally {
    connection.close()
  }
}

async function* readOutput(connection: Connection, type: FrameType, length: number): AsyncGenerator<Frame> {
  for (let left = length; left > 0; ) {
    const payload = await connection.read(left)
    if (!payload) throw unreachable('The connection to the box ended before the command did.')
    left -= payload.length
    yield { type, payload }
  }
}

async function readJsonFrame(
  connection: Connection,
  type: FrameType,
  length: number,
  schema: z.ZodType | undefined,
): Promise<Frame> {
  const payload = await connection.readExactly(length)
  if (!payload) throw unreachable('The connection to the box ended before the command did.')
  const value = parseJson(payload)
  // An error is passed on in our words, so that boxd cannot use a code that is not its own.
  if (!schema) return { type, payload: Buffer.from(JSON.stringify(refusal(value).toBody())) }
  const parsed = schema.safeParse(value)
  if (!parsed.success) throw violation('a frame that does not fit its schema', parsed.error)
  return { type, payload: Buffer.from(JSON.stringify(parsed.data)) }
}
