import { stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { GibilError } from '@gibil/contract'
import type { Transport } from '../connect/transport.ts'
import { type TarEntry, tarStream } from './tar-writer.ts'
import { entryOf, type WalkOptions, walkTree } from './walk.ts'

export interface UploadOptions extends WalkOptions {
  /** Owner of what is written; default: the user of the box. */
  readonly user?: string | undefined
}

/** Sends a tar stream that the box unpacks below `path`. */
export async function sendTar(
  transport: Transport,
  route: string,
  entries: AsyncIterable<TarEntry> | Iterable<TarEntry>,
  options: { readonly query?: Record<string, string | undefined>; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const tar = tarStream(entries)
  try {
    await transport.send('PUT', route, {
      query: options.query,
      raw: tar,
      headers: { 'content-type': 'application/x-tar' },
      signal: options.signal,
    })
  } finally {
    tar.destroy()
  }
}

/** The contents of a local directory, or one file under its name, below a directory of the box. */
export async function uploadTree(
  transport: Transport,
  route: string,
  local: string,
  path: string,
  options: UploadOptions = {},
): Promise<void> {
  const { user, signal } = options
  await sendTar(transport, route, await localEntries(local, options), { query: { path, user }, signal })
}

async function localEntries(
  local: string,
  options: WalkOptions,
): Promise<AsyncIterable<TarEntry> | Iterable<TarEntry>> {
  const info = await stat(local).catch((error: unknown) => {
    throw new GibilError('file_not_found', `${local} does not exist on this machine.`, {
      hint: 'Check the path.',
      cause: error,
    })
  })
  if (info.isDirectory()) return walkTree(local, options)
  const entry = await entryOf(dirname(local), basename(local))
  return entry ? [entry] : []
}
