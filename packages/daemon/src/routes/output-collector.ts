/** Keeps the beginning of a stream of output, up to a number of bytes. */
export interface OutputCollector {
  add(data: Uint8Array): void
  /** Whether something was left out. */
  cut(): boolean
  /** As UTF-8; what is not becomes U+FFFD. */
  text(): string
}

export function collectOutput(maxBytes: number): OutputCollector {
  const chunks: Uint8Array[] = []
  let length = 0
  let cut = false
  return {
    add(data) {
      const room = maxBytes - length
      if (data.byteLength > room) cut = true
      if (room <= 0 || data.byteLength === 0) return
      // A copy of a part: the rest of a large chunk need not stay in memory.
      const kept = data.byteLength > room ? data.slice(0, room) : data
      chunks.push(kept)
      length += kept.byteLength
    },
    cut: () => cut,
    text: () => Buffer.concat(chunks).toString('utf8'),
  }
}
