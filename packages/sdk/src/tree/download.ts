import type { Transport } from '../connect/transport.ts'
import { type ExtractOptions, type ExtractResult, extractTree } from './extract.ts'

export interface DownloadOptions extends ExtractOptions {
  /** Names to leave out, as the box understands them. */
  readonly exclude?: readonly string[] | undefined
}

export type DownloadResult = ExtractResult

/** The contents of a directory of the box (or one file) below a local directory. */
export async function downloadTree(
  transport: Transport,
  route: string,
  path: string,
  local: string,
  options: DownloadOptions = {},
): Promise<DownloadResult> {
  const { exclude, signal } = options
  const tar = await transport.download(route, {
    query: { path, exclude },
    headers: { accept: 'application/x-tar' },
    signal,
  })
  return extractTree(tar, local, options)
}
