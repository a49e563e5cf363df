import { open } from 'node:fs/promises'
import { mustRun, type RunTool } from '@gibil/host'

/** Shares the blocks where the file system can, else copies those that are there. */
export async function copySparse(run: RunTool, from: string, to: string): Promise<void> {
  await mustRun(run, 'cp', ['--reflink=auto', '--sparse=auto', '--', from, to])
}

/** Has the host write to its disk what was copied. */
export async function flush(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.datasync()
  } finally {
    await file.close()
  }
}
