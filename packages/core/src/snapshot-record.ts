import type { SnapshotKind, SnapshotStatus } from '@gibil/contract'
import type { BoxRecord, Making, Owner } from './box-record.ts'

/** What a box that begins as a snapshot takes over of the one that it was taken of. */
export type Saved = Making &
  Pick<
    BoxRecord,
    | 'isolation'
    | 'volumes'
    | 'network'
    | 'egress'
    | 'user'
    | 'env'
    | 'labels'
    | 'onFailure'
    | 'ports'
    | 'repo'
    | 'explicit'
    | 'config'
    | 'remakes'
    | 'tasksDone'
    | 'readiness'
    | 'failure'
    | 'hooked'
    | 'hookEnv'
  >

interface KeptSetup {
  /** The same for all boxes that the script makes the same of. */
  readonly key: string
  readonly usedAt: number
}

/** A snapshot as the store keeps it: written down before the driver makes it, and until it has removed it. */
export interface SnapshotRecord {
  readonly id: string
  /** Unique among the snapshots of one owner; of a temporary one its id. */
  readonly name: string
  readonly owner: Owner
  readonly status: SnapshotStatus
  readonly kind: SnapshotKind
  readonly boxId: string
  readonly boxName: string
  /** The snapshot that the state of the box last came from. */
  readonly parent: string | null
  readonly bytes: number | null
  /** Taken for one fork of a box and removed after it; nobody is told of it. */
  readonly temporary: boolean
  /** It is what a set-up script made, for boxes that have the same one. */
  readonly setup?: KeptSetup
  readonly saved: Saved
  readonly createdAt: number
}
