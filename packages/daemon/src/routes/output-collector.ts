/** Keeps the beginning of a stream of output, up to a number of bytes; nothing after a part that was left out. */
export interface OutputCollector {
  add(data: Uint8Array): void
  /** Whether something was left out. */
  cut(): boolean
  /** As UTF-8; what is not becomes U+FFFD. */
  text(): string
}

const firstBlockBytes = 4 * 1024
const largestBlockBytes = 1024 * 1024

/**
 * `take` says how many of so many bytes there is memory for. Bytes are copied into blocks: kept as they come, those of a command that
 * prints one at a time would each cost a hundred.
 */
export function collectOutput(maxBytes: number, take: (bytes: number) => number): OutputCollector {
  const full: Buffer[] = []
  let block = Buffer.alloc(0)
  let used = 0
  let length = 0
  let cut = false

  const append = (data: Uint8Array): void => {
    for (let at = 0; at < data.byteLength; ) {
      if (used === block.length) {
        if (used > 0) full.push(block)
        block = Buffer.allocUnsafeSlow(Math.min(largestBlockBytes, Math.max(firstBlockBytes, length)))
        used = 0
      }
      const part = data.subarray(at, at + block.length - used)
      block.set(part, used)
      used += part.byteLength
      at += part.byteLength
      length += part.byteLength
    }
  }

  return {
    add(data) {
      if (cut) return
      const room = take(Math.min(data.byteLength, maxBytes - length))
      cut = room < data.byteLength
      append(data.subarray(0, room))
    },
    cut: () => cut,
    text: () => Buffer.concat([...full, block.subarray(0, used)]).toString('utf8'),
  }
}
