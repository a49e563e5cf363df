import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { BoxHandle } from '@gibil/sdk'

/** A directory goes as one tar stream, with links and modes; a file as it is. */
export async function copyIn(box: BoxHandle, hostPath: string, sandboxPath: string): Promise<void> {
  const info = await stat(hostPath)
  if (!info.isDirectory()) {
    await box.files.write(sandboxPath, createReadStream(hostPath), { mode: info.mode & 0o777 })
    return
  }
  await box.files.mkdir(sandboxPath)
  await box.files.upload(hostPath, sandboxPath)
}

export async function copyFileOut(box: BoxHandle, sandboxPath: string, hostPath: string): Promise<void> {
  const source = await box.files.stream(sandboxPath)
  await mkdir(dirname(hostPath), { recursive: true })
  await pipeline(source, createWriteStream(hostPath))
}
