import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { namesIn } from '@gibil/host'
import { type BoxFile, readBoxFile } from './box-file.ts'
import type { Context } from './context.ts'
import { type BoxPaths, boxPaths } from './names.ts'
import { type SavedMachine, savedIn } from './saved.ts'

/** The machine of a paused box. */
export const pausedIn = (paths: BoxPaths, box: BoxFile): SavedMachine | undefined =>
  box.paused && savedIn(join(paths.kept, box.paused.directory))

/** Removes what `box.json` does not name: disks and machines of before, and remains of what was cut off. */
export async function sweepKept(context: Context, id: string): Promise<void> {
  const paths = boxPaths(context.names, id)
  const read = await readBoxFile(paths)
  if (read.kind !== 'box') return
  const named = ['box.json', read.box.disk, read.box.paused?.directory]
  for (const name of await namesIn(paths.kept)) {
    if (!named.includes(name)) await rm(join(paths.kept, name), { recursive: true, force: true })
  }
}
