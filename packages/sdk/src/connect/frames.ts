import { FrameType, GibilError } from '@gibil/contract'

/** One WebSocket message of a command stream: a type byte, then its payload. */
export interface Frame {
  readonly type: FrameType
  readonly payload: Buffer
}

const known: ReadonlySet<number> = new Set(Object.values(FrameType))
const isFrameType = (type: number | undefined): type is FrameType => type !== undefined && known.has(type)

/** Splits a message into type and payload. Throws `boxd_protocol`. */
export function decodeFrame(message: Buffer): Frame {
  const type = message[0]
  if (!isFrameType(type))
    throw new GibilError('boxd_protocol', `The command stream holds a frame of the unknown type ${type}.`)
  return { type, payload: message.subarray(1) }
}

export function encodeFrame(type: FrameType, payload: Uint8Array | object = new Uint8Array()): Buffer {
  const body = payload instanceof Uint8Array ? payload : Buffer.from(JSON.stringify(payload))
  const frame = Buffer.allocUnsafe(body.byteLength + 1)
  frame[0] = type
  frame.set(body, 1)
  return frame
}
