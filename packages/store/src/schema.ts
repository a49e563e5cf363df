import type { Generated } from 'kysely'

/** The tables, as the last migration leaves them. */
export interface Schema {
  readonly boxes: {
    id: string
    name: string
    fleet: string | null
    created_at: number
    /** The whole BoxRecord as JSON; the columns beside it are what is searched by. */
    record: string
  }
  readonly events: {
    seq: Generated<number>
    at: string
    type: string
    box_id: string | null
    box_name: string | null
    data: string
  }
}
