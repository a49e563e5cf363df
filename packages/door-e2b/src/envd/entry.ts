import { create } from '@bufbuild/protobuf'
import { timestampFromDate } from '@bufbuild/protobuf/wkt'
import type { FileDetails } from '@gibil/boxd-client'
import type { FileInfo } from '@gibil/contract'
import { type Entry, EntrySchema, FileType } from '../gen/filesystem_pb.js'

/** A file as SDKs see it. A symbolic link is described by what it leads to, and is of no type when that is not there. */
export function entryOf(info: FileDetails): Entry {
  const { resolved } = info
  const what = info.kind === 'symlink' ? resolved : info
  return create(EntrySchema, {
    name: info.name,
    path: info.path,
    type: typeOf(what?.kind),
    size: BigInt(info.size),
    mode: (what?.mode ?? 0) & 0o777,
    permissions: permissionsOf(info),
    owner: info.user,
    group: info.group,
    modifiedTime: timestampFromDate(new Date(info.modifiedAt)),
    ...(info.kind === 'symlink' ? { symlinkTarget: resolved?.path ?? info.target ?? '' } : {}),
    metadata: info.attributes ?? {},
  })
}

function typeOf(kind: FileInfo['kind'] | undefined): FileType {
  if (kind === 'directory') return FileType.DIRECTORY
  return kind === 'file' ? FileType.FILE : FileType.UNSPECIFIED
}

/** As Go's FileMode writes them: letters for what it is, then the nine bits. */
export function permissionsOf({ kind, mode }: Pick<FileInfo, 'kind' | 'mode'>): string {
  const letters =
    (kind === 'directory' ? 'd' : kind === 'symlink' ? 'L' : '') +
    (mode & 0o4000 ? 'u' : '') +
    (mode & 0o2000 ? 'g' : '') +
    (mode & 0o1000 ? 't' : '')
  const bits = [...'rwxrwxrwx'].map((letter, index) => (mode & (0o400 >> index) ? letter : '-'))
  return (letters === '' ? '-' : letters) + bits.join('')
}
