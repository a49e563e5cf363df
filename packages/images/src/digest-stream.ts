import { createHash } from 'node:crypto'

/** Passes bytes on and tells their sha256 (`sha256:…`) at the end; `check` throws what a wrong one deserves. */
export async function* verified(
  stream: AsyncIterable<Uint8Array>,
  check: (digest: string) => void,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  for await (const chunk of stream) {
    hash.update(chunk)
    yield chunk
  }
  check(`sha256:${hash.digest('hex')}`)
}
