import { Readable } from 'node:stream'
import { GibilError } from '@gibil/contract'
import { errnoOf, makeFolder } from './files.ts'
import { type ArchiveKind, safeArchive } from './safe-entries.ts'
import { readTar, TarError } from './tar-read.ts'
import { type HostEnv, runTool, throwIfAborted } from './tool.ts'

export interface UnpackOptions {
  readonly kind: ArchiveKind
  readonly env: HostEnv
  readonly signal?: AbortSignal | undefined
  /** An archive without its closing block is taken for cut off; for those that no digest vouches for. */
  readonly needsEnd: boolean
  /** Told each PAX record of the archive that is of all its entries. */
  readonly onGlobal?: (key: string, value: Buffer) => void
  /** The error for a bad archive, from a sentence that says what is wrong. */
  readonly failure: (message: string, cause: unknown) => GibilError
}

/** What zlib and the xz program throw for bytes that they cannot read. */
const isBadCompression = (error: unknown): boolean =>
  /^(Z_|ZSTD_|ERR_ZLIB|ERR_STREAM_PREMATURE_CLOSE)/.test(errnoOf(error) ?? '') ||
  (error instanceof Error && error.name.startsWith('Execa'))

/**
 * Unpacks a hostile archive to the new folder `target`, with owners, modes, times and hard links: the archive is read and rewritten here
 * (see `safeArchive`), and GNU tar, which can make what Node cannot (device nodes, extended attributes), gets only what is safe.
 */
export const unpack = async (
  archive: AsyncIterable<Uint8Array>,
  target: string,
  options: UnpackOptions,
): Promise<void> => {
  const { env, signal } = options
  await makeFolder(target, 0o755)
  const input = Readable.from(safeArchive(readTar(archive, options.needsEnd, options.onGlobal), options.kind), {
    objectMode: false,
  })
  const preserve = ['--preserve-permissions', '--same-owner', '--numeric-owner', '--xattrs', '--xattrs-include=*']
  try {
    const result = await runTool(
      ['tar', '--extract', '--file=-', '-C', target, '--delay-directory-restore', '--no-overwrite-dir', ...preserve],
      { env, signal, input },
    )
    if (result.exitCode !== 0) {
      const isFull = /No space left on device/.test(result.tail)
      if (isFull) throw new GibilError('disk_full', 'There was no room on the disk of the host to unpack the archive.')
      throw options.failure(`It could not be unpacked: ${result.tail.trim().split('\n')[0] ?? ''}`, undefined)
    }
  } catch (error) {
    throwIfAborted(signal)
    const reason = error instanceof GibilError && error.code === 'internal' ? error.cause : error
    if (reason instanceof TarError) throw options.failure(reason.message, reason)
    if (isBadCompression(reason)) throw options.failure('Its compressed data is damaged or cut off.', reason)
    throw error
  } finally {
    input.destroy()
  }
}
