import type { Generated } from 'kysely'

/** The tables, as the last migration leaves them. */
export interface Schema {
  readonly boxes: {
    id: string
    /** Empty for the administrator, since NULLs are never equal in an index. */
    owner: string
    name: string
    fleet: string | null
    /** What counts for limits: of a box that is to be made anew, the larger of both sizes. */
    cpu: number
    memory_mib: number
    disk_mib: number
    created_at: number
    /** The whole BoxRecord as JSON; the columns beside it are what is searched by. */
    record: string
  }
  readonly snapshots: {
    id: string
    /** As of a box. */
    owner: string
    name: string
    created_at: number
    /** The whole SnapshotRecord as JSON. */
    record: string
  }
  readonly sessions: {
    id: string
    /** As of a box. */
    owner: string
    created_at: number
    /** The whole SessionRecord as JSON. */
    record: string
  }
  readonly charges: {
    box_id: string
    /** Milliseconds since the epoch, as `until`. */
    since: number
    until: number
    box_name: string
    /** As of a box. */
    owner: string
    /** Price as JSON. */
    price: string
  }
  readonly settings: {
    name: string
    /** As JSON. */
    value: string
  }
  readonly events: {
    seq: Generated<number>
    at: string
    type: string
    box_id: string | null
    box_name: string | null
    owner: string | null
    data: string
  }
  readonly tokens: {
    hash: string
    name: string
    /** TokenLimits as JSON. */
    limits: string
    created_at: number
    expires_at: number | null
  }
}
