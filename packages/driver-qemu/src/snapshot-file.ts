import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError, Size } from '@gibil/contract'
import type { DriverSnapshot } from '@gibil/core'
import { type HomeNames, isBoxId, namesIn, parseJson, readIfThere, writeWhole } from '@gibil/host'
import * as z from 'zod'
import { type SavedMachine, savedIn } from './saved.ts'

/** The places of one snapshot. */
export interface SnapshotPaths {
  readonly directory: string
  /** Written last: without it the snapshot was never finished. */
  readonly file: string
  /** The disk as it was; never written to once it is there. */
  readonly disk: string
  /** A disk that holds no difference to that one yet, to be copied for each fork. */
  readonly emptyDisk: string
  /** The machine, where it was saved too. */
  readonly saved: SavedMachine
}

export const snapshotsDir = (names: HomeNames): string => join(names.home, 'snapshots')

/** Throws `invalid_request` for what cannot be the id of a snapshot. */
export function snapshotPaths(names: HomeNames, id: string): SnapshotPaths {
  if (!isBoxId(id)) throw new GibilError('invalid_request', `"${id}" cannot be the id of a snapshot.`)
  const directory = join(snapshotsDir(names), id)
  return {
    directory,
    file: join(directory, 'snapshot.json'),
    disk: join(directory, 'root.qcow2'),
    emptyDisk: join(directory, 'empty.qcow2'),
    saved: savedIn(directory),
  }
}

const snapshotFile = z.object({
  version: z.literal(1),
  /** `removed`: it is kept only for the boxes whose disks stand on it. */
  phase: z.enum(['made', 'removed']),
  kind: z.enum(['disk', 'disk+memory']),
  /** Of the box that it was taken of. */
  size: Size,
  /** What must stay as long as this one does: what its disk holds the difference to. */
  standsOn: z.array(z.string()).min(1).readonly(),
})

export type SnapshotFile = Readonly<z.infer<typeof snapshotFile>>

/** Undefined when there is none, or it was never finished; `damaged` when nobody can tell what it stands on. */
export async function readSnapshot(paths: SnapshotPaths): Promise<SnapshotFile | 'damaged' | undefined> {
  const text = await readIfThere(paths.file)
  if (text === undefined) return undefined
  const parsed = snapshotFile.safeParse(parseJson(text))
  return parsed.success ? parsed.data : 'damaged'
}

export async function writeSnapshot(paths: SnapshotPaths, file: SnapshotFile): Promise<void> {
  await writeWhole(paths.file, `${JSON.stringify(file, null, 2)}\n`, { durable: true })
}

/** One that boxes can begin as. Throws `snapshot_not_found`. */
export async function madeSnapshot(names: HomeNames, id: string): Promise<SnapshotFile> {
  const file = await readSnapshot(snapshotPaths(names, id))
  if (file !== undefined && file !== 'damaged' && file.phase === 'made') return file
  throw new GibilError('snapshot_not_found', `The host has no snapshot ${id}, or what it kept of it is damaged.`)
}

/** What is there of snapshots, finished or not. */
export const snapshotIds = async (names: HomeNames): Promise<string[]> =>
  (await namesIn(snapshotsDir(names))).filter(isBoxId)

export async function describe(names: HomeNames, id: string, { kind }: SnapshotFile): Promise<DriverSnapshot> {
  const { directory } = snapshotPaths(names, id)
  const blocks = await Promise.all((await readdir(directory)).map(async (name) => stat(join(directory, name))))
  return { id, kind, bytes: blocks.reduce((sum, { blocks: count }) => sum + count * 512, 0) }
}

export const removeFiles = (paths: SnapshotPaths): Promise<void> =>
  rm(paths.directory, { recursive: true, force: true })
