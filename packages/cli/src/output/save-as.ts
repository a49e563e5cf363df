import { open, rename, rm } from 'node:fs/promises'

/** Writes a file whole or not at all. Answers its length. */
export async function saveAs(path: string, chunks: AsyncIterable<Uint8Array>, mode = 0o644): Promise<number> {
  const temporary = `${path}.${process.pid}.tmp`
  const file = await open(temporary, 'wx', mode)
  let bytes = 0
  try {
    for await (const chunk of chunks) {
      await file.write(chunk)
      bytes += chunk.byteLength
    }
    await file.close()
    await rename(temporary, path)
    return bytes
  } catch (error) {
    await file.close().catch(() => undefined)
    await rm(temporary, { force: true })
    throw error
  }
}
