import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { DownloadResult } from '@gibil/sdk'
import * as z from 'zod'
import { BoxState, boxLine, boxState } from '../results/box.ts'
import { toolError } from '../results/error.ts'
import { findBox } from '../results/find.ts'
import { removes, type Tool, tool } from '../tool.ts'
import { boxRef } from './fields.ts'
import { explainMissing, inBox } from './file-path.ts'
import { localPath } from './local-path.ts'

export const fileUpload: Tool = tool({
  name: 'file_upload',
  title: 'Copy into a box',
  description:
    'Copies a file, or the contents of a directory, of this machine into a box, of any size. Only from below the directory in which this server works.',
  effect: removes,
  local: true,
  input: z.object({
    box: boxRef,
    local: z.string().min(1).describe('path on this machine'),
    path: z.string().min(1).describe('path in the box: of the file, or of the directory that gets the contents'),
    exclude: z.array(z.string()).optional().describe('patterns as in .gitignore'),
  }),
  output: z.object({ box: BoxState, path: z.string(), bytes: z.int().nullable().describe('of a file') }),
  async handle({ box: ref, local, path: given, exclude }, { gibil, local: root, signal }) {
    const from = await localPath(local, root ?? '')
    const { handle } = await findBox(gibil, ref, signal)
    const path = await inBox(handle, given)
    const info = await stat(from)
    if (info.isDirectory()) {
      await handle.files.mkdir(path, { signal })
      await handle.files.upload(from, path, { exclude, signal })
    } else {
      const target = path.endsWith('/') ? path + basename(from) : path
      await handle.files.write(target, createReadStream(from), { mode: info.mode & 0o777, signal })
    }
    const box = boxState(await handle.refresh())
    return {
      data: { box, path, bytes: info.isDirectory() ? null : info.size },
      text: `copied ${from} to ${path} in ${box.name}\n${boxLine(box)}`,
    }
  },
})

export const fileDownload: Tool = tool({
  name: 'file_download',
  title: 'Copy out of a box',
  description:
    'Copies a file, or the contents of a directory, of a box to this machine, of any size. Only to below the directory in which this server works. What comes is of the making of the box: look at it before it is run.',
  effect: removes,
  local: true,
  input: z.object({
    box: boxRef,
    path: z.string().min(1).describe('path in the box'),
    local: z.string().min(1).describe('path on this machine: of the file, or of the directory that gets the contents'),
    overwrite: z.boolean().default(false),
    exclude: z.array(z.string()).optional().describe('names to leave out of a directory'),
  }),
  output: z.object({ box: BoxState, local: z.string(), files: z.int(), skipped: z.array(z.string()) }),
  async handle({ box: ref, path: given, local, overwrite, exclude }, { gibil, local: root, signal }) {
    const to = await localPath(local, root ?? '')
    const { handle } = await findBox(gibil, ref, signal)
    const path = await inBox(handle, given)
    const info = await handle.files.stat(path, { signal }).catch((error) => explainMissing(handle, path, error))
    const there = await stat(to).catch(() => undefined)
    const isDirectory = info.kind === 'directory'
    if (there && (there.isDirectory() !== isDirectory || !(overwrite || isDirectory))) {
      throw toolError('file_conflict', `${to} is there already.`, 'Give another path, or set overwrite for a file.')
    }
    const result = isDirectory
      ? await handle.files.download(path, to, { exclude, signal })
      : await oneFile(() => handle.files.stream(path, { signal }), to)
    const box = boxState(await handle.refresh())
    return {
      data: {
        box,
        local: to,
        files: result.files,
        skipped: result.skipped.slice(0, 50).map(({ path: name, reason }) => `${name}: ${reason}`),
      },
      text: `copied ${result.files} files to ${to}\n${boxLine(box)}`,
    }
  },
})

/** Whole or not at all. */
async function oneFile(open: () => Promise<Readable>, to: string): Promise<Pick<DownloadResult, 'files' | 'skipped'>> {
  await mkdir(dirname(to), { recursive: true })
  const temporary = `${to}.${randomBytes(6).toString('hex')}.part`
  try {
    await pipeline(await open(), createWriteStream(temporary, { flags: 'wx' }))
    await rename(temporary, to)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  return { files: 1, skipped: [] }
}
