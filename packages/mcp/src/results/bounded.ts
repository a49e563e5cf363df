/** Keeps the beginning and the end of output of any length, and counts what is between. */
export interface Bounded {
  add(data: Uint8Array): void
  /** All bytes that came. */
  readonly bytes: number
  /** Bytes that are in neither part. */
  readonly left: number
  /** Offset of the first byte that was left out. */
  readonly cutAt: number
  text(note: (left: number) => string): string
}

/** A quarter of the room is for the beginning: what went wrong mostly stands at the end. */
export function createBounded(maxBytes: number): Bounded {
  const headRoom = Math.floor(maxBytes / 4)
  const tailRoom = maxBytes - headRoom
  const head = Buffer.allocUnsafe(headRoom)
  const tail = Buffer.allocUnsafe(tailRoom)
  let headLength = 0
  // Bytes that went into the ring, which is written round and round.
  let ringed = 0

  return {
    add(data) {
      const first = data.subarray(0, headRoom - headLength)
      head.set(first, headLength)
      headLength += first.byteLength
      const rest = data.subarray(first.byteLength)
      // Of what is longer than the ring only the end stays.
      const kept = rest.subarray(Math.max(0, rest.byteLength - tailRoom))
      const at = (ringed + rest.byteLength - kept.byteLength) % tailRoom
      const straight = kept.subarray(0, tailRoom - at)
      tail.set(straight, at)
      tail.set(kept.subarray(straight.byteLength), 0)
      ringed += rest.byteLength
    },
    get bytes() {
      return headLength + ringed
    },
    get left() {
      return Math.max(0, ringed - tailRoom)
    },
    get cutAt() {
      return headLength
    },
    text(note) {
      const left = Math.max(0, ringed - tailRoom)
      const at = ringed % tailRoom
      const end = left === 0 ? tail.subarray(0, ringed) : Buffer.concat([tail.subarray(at), tail.subarray(0, at)])
      const begin = head.subarray(0, headLength)
      if (left === 0) return Buffer.concat([begin, end]).toString('utf8')
      return `${wholeEnd(begin).toString('utf8')}\n${note(left)}\n${wholeBegin(end).toString('utf8')}`
    },
  }
}

/** Without the beginning of a character of UTF-8 whose other bytes are elsewhere. */
export function wholeEnd(bytes: Buffer): Buffer {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0
    if (byte < 0x80) return bytes
    if (byte < 0xc0) continue
    const needs = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
    return needs > back ? bytes.subarray(0, bytes.length - back) : bytes
  }
  return bytes
}

/** Without the bytes at its beginning that continue a character. */
export function wholeBegin(bytes: Buffer): Buffer {
  let at = 0
  while (at < Math.min(3, bytes.length) && ((bytes[at] ?? 0) & 0xc0) === 0x80) at += 1
  return bytes.subarray(at)
}
