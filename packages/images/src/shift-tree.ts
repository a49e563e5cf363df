import { Readable } from 'node:stream'
import { makeFolder } from './files.ts'
import type { TarHeader } from './tar-format.ts'
import { readTar, type TarEntry } from './tar-read.ts'
import { encodeHeader, paddingOf, tarEnd } from './tar-write.ts'
import { type HostEnv, mustRun } from './tool.ts'
import { toolStream } from './tool-stream.ts'

/** Ids of a user namespace: 0 to `count` of it are `base` to `base + count` of the host. */
export interface IdRange {
  readonly base: number
  readonly count: number
}

const nobody = 65_534
const kept = /^(security\.capability$|user\.|trusted\.overlay\.opaque$)/
const tarAttributes = ['security.capability', 'user.*', 'trusted.overlay.opaque'].map(
  (name) => `--xattrs-include=${name}`,
)

const idIn = (range: IdRange, id: number): number =>
  id >= range.base && id < range.base + range.count ? id - range.base : nobody

/**
 * File capabilities set in a user namespace name its root (revision 3, linux/capability.h): outside of it they are those of
 * revision 2, which names none.
 */
const plainCapability = (value: Buffer): Buffer => {
  const revision3 = 0x03
  if (value.length !== 24 || value[3] !== revision3) return value
  const plain = Buffer.from(value.subarray(0, 20))
  plain[3] = 0x02
  return plain
}

const shiftHeader = (entry: TarHeader, range: IdRange): TarHeader => ({
  ...entry,
  uid: idIn(range, entry.uid),
  gid: idIn(range, entry.gid),
  xattrs: new Map(
    [...entry.xattrs]
      .filter(([name]) => kept.test(name))
      .map(([name, value]) => [name, name === 'security.capability' ? plainCapability(value) : value]),
  ),
})

/** Removed files are device 0/0 in an overlay; another device cannot come from a user namespace and is left out. */
const isWanted = ({ name, type, device }: TarHeader): boolean =>
  name !== './' && type !== 'block' && (type !== 'character' || (device?.major === 0 && device.minor === 0))

async function* shiftedArchive(entries: AsyncIterable<TarEntry>, range: IdRange): AsyncGenerator<Buffer> {
  for await (const entry of entries) {
    if (!isWanted(entry)) continue
    yield encodeHeader(shiftHeader(entry, range))
    for await (const chunk of entry.body) yield chunk
    if (entry.size % 512 !== 0) yield paddingOf(entry.size)
  }
  yield tarEnd
}

/** Copies what a user namespace wrote into a new folder, in the ids that it saw. */
export const shiftTree = async (
  source: string,
  target: string,
  range: IdRange,
  options: { env: HostEnv; signal?: AbortSignal | undefined },
): Promise<void> => {
  await makeFolder(target, 0o755)
  const from = ['tar', '--create', '--format=posix', '--numeric-owner', '--xattrs', ...tarAttributes, '-C', source, '.']
  const to = ['tar', '--extract', '--file=-', '-C', target, '--delay-directory-restore', '--no-overwrite-dir']
  const preserve = ['--preserve-permissions', '--same-owner', '--numeric-owner', '--xattrs', '--xattrs-include=*']
  const input = Readable.from(shiftedArchive(readTar(toolStream(from, options)), range), { objectMode: false })
  await mustRun([...to, ...preserve], { ...options, input })
}
