import { join } from 'node:path'
import { GibilError, Isolation } from '@gibil/contract'
import type { DriverSpec } from '@gibil/core'
import { type HomeNames, isBoxId, parseJson, readNow } from '@gibil/host'
import * as z from 'zod'

/** The places of one snapshot. */
export interface SnapshotPaths {
  readonly dir: string
  /** Written last and removed first: a snapshot without it is not whole. */
  readonly file: string
  readonly diskImage: string
}

export const snapshotsDir = ({ home }: HomeNames): string => join(home, 'snapshots')

export function snapshotPaths(names: HomeNames, id: string): SnapshotPaths {
  if (!isBoxId(id)) throw new GibilError('invalid_request', `"${id.slice(0, 80)}" cannot be the id of a snapshot.`)
  const dir = join(snapshotsDir(names), id)
  return { dir, file: join(dir, 'snapshot.json'), diskImage: join(dir, 'disk.img') }
}

const snapshotFile = z.object({
  version: z.literal(1),
  id: z.string(),
  boxId: z.string(),
  /** The files on its disk are owned by these ids, whichever ids a box has that begins as it. */
  uidBase: z.int().positive(),
  /** What its disk lies over, and how large that is. */
  digest: z.string(),
  diskMib: z.int(),
  isolation: Isolation,
})
export type SnapshotFile = Readonly<z.infer<typeof snapshotFile>>

/** Undefined for one that is not there, or not whole. */
export function readSnapshot(paths: SnapshotPaths): SnapshotFile | undefined {
  const text = readNow(paths.file)
  return text === undefined ? undefined : snapshotFile.safeParse(parseJson(text)).data
}

/** The snapshot that a box begins as or is put back to. Throws `snapshot_not_found`, `wrong_state` for one that does not fit. */
export function snapshotFor(names: HomeNames, id: string, { image, size, isolation }: DriverSpec): SnapshotFile {
  const found = readSnapshot(snapshotPaths(names, id))
  if (found === undefined) throw new GibilError('snapshot_not_found', `The host has no snapshot ${id}.`)
  if (found.digest === image.digest && found.diskMib === size.diskMib && found.isolation === isolation) return found
  throw new GibilError('wrong_state', `The snapshot ${id} is of a box with another image, disk size or isolation.`)
}
