import type { Size } from '@gibil/contract'
import type { DriverOptions, ResolvedImage } from '@gibil/core'
import type { Backing } from './root-disk.ts'
import type { SavedMachine } from './saved.ts'

/** What boxes begin as copies of. */
export interface Origin {
  /** Absent where there is a disk alone: a box that begins so boots. */
  readonly saved?: SavedMachine | undefined
  /** The disk as it was at that moment. */
  readonly disk: Backing
  /** Paths that must stay as long as a box that began so. */
  readonly standsOn: readonly string[]
  /** A disk of that size that holds no difference to that one yet, to be copied for each box. */
  readonly emptyDisk: string
  readonly diskMib: number
}

/** A machine that was booted once and stopped with boxd up: every box of its image and size begins as a copy of it. */
export interface Frozen extends Origin {
  readonly saved: SavedMachine
}

export interface FrozenStore {
  /** The frozen machine for that image and size; made at first need, which is told. */
  provide(image: ResolvedImage, size: Size, options?: Pick<DriverOptions, 'onLine'>): Promise<Frozen>
}
