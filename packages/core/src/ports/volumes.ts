import type { Owner } from '../box-record.ts'

/** A volume as it is kept. Its id says where on this host its disk is: drivers find it there. */
export interface VolumeRecord {
  readonly id: string
  /** Unique among the volumes of one owner. */
  readonly name: string
  readonly owner: Owner
  readonly sizeMib: number
  /** Milliseconds since the epoch. */
  readonly createdAt: number
}

/** Where volumes are kept. */
export interface VolumeStore {
  list(): Promise<readonly VolumeRecord[]>
  /** Makes its disk; it is listed once that is whole. On failure nothing of it is left. Throws `disk_full`. */
  create(record: VolumeRecord): Promise<void>
  /** With all that is in it. No box may have it. Fine when it is gone. */
  remove(id: string): Promise<void>
  /** Room on the host's disk that it takes, in bytes. */
  bytes(id: string): Promise<number>
}

/** What is at a path of a volume. */
export interface VolumeEntry {
  readonly name: string
  readonly type: 'file' | 'directory' | 'symlink' | 'unknown'
  /** In the volume; absolute, without links that the caller did not name. */
  readonly path: string
  readonly size: number
  /** The permission bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly atime: Date
  readonly mtime: Date
  readonly ctime: Date
  /** Of a symbolic link: what it says. */
  readonly target?: string
}

/** Of what is made; ids as boxes have them, 0 to 65535. */
export interface VolumeOwnership {
  readonly uid?: number | undefined
  readonly gid?: number | undefined
  readonly mode?: number | undefined
}

/** `force`: what is missing above is made, and what is there already is fine, or replaced. */
export interface VolumeWrite extends VolumeOwnership {
  readonly force?: boolean | undefined
}

/**
 * The files of one volume, whether or not a box has it. Links lead no way out of it, however boxes change them meanwhile. Methods throw
 * `file_not_found`, `file_conflict`, `invalid_path`, `disk_full`, `volume_not_found`.
 */
export interface VolumeFiles {
  stat(path: string): Promise<VolumeEntry>
  /** `depth` 1: what is in the directory alone. Throws `limit_reached` for more entries than one answer holds. */
  list(path: string, depth: number): Promise<readonly VolumeEntry[]>
  makeDirectory(path: string, options: VolumeWrite): Promise<VolumeEntry>
  /** Stays open until its content was read or cancelled. */
  read(path: string): Promise<{ readonly size: number; readonly content: ReadableStream<Uint8Array> }>
  /** There as a whole or not at all. */
  write(path: string, content: AsyncIterable<Uint8Array>, options: VolumeWrite): Promise<VolumeEntry>
  change(path: string, options: VolumeOwnership): Promise<VolumeEntry>
  /** With all that is in it. */
  remove(path: string): Promise<void>
}
