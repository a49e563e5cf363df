import { Event, GibilError, type Size } from '@gibil/contract'
import type { BoxRecord, Store } from '@gibil/core'
import { sql } from 'kysely'
import { chargeTable } from './charges.ts'
import { isFull, isNotUnique, openDatabase } from './database.ts'
import { migrate } from './migrations.ts'
import { column } from './owner.ts'
import { sessionTable } from './sessions.ts'
import { settingsTable } from './settings.ts'
import { snapshotTable } from './snapshots.ts'
import { tokenTable } from './tokens.ts'

export interface StoreOptions {
  /** Events kept; the oldest beyond are dropped. */
  readonly keptEvents?: number
}

const row = (record: BoxRecord) => ({
  id: record.id,
  owner: column(record.owner),
  name: record.name,
  fleet: record.fleet,
  cpu: larger(record, 'cpu'),
  memory_mib: larger(record, 'memoryMib'),
  disk_mib: larger(record, 'diskMib'),
  created_at: record.createdAt,
  record: JSON.stringify(record),
})

const larger = ({ size, remake }: BoxRecord, what: keyof Size): number => Math.max(size[what], remake?.size[what] ?? 0)

// Written by this store alone, into a file that nobody else may write.
const recordOf = ({ record }: { readonly record: string }): BoxRecord => JSON.parse(record) as BoxRecord

/**
 * Opens the store in `file`. One daemon at a time: a second is refused with `wrong_state`.
 * Its writes throw `disk_full` when the disk is full.
 */
export function openStore(file: string, { keptEvents = 10_000 }: StoreOptions = {}): Store {
  const { raw, query } = openDatabase(file)
  try {
    migrate(raw)
  } catch (error) {
    raw.close()
    throw error
  }

  const writing = async <T>(write: () => Promise<T>): Promise<T> => {
    try {
      return await write()
    } catch (error) {
      if (!isFull(error)) throw error
      throw new GibilError('disk_full', `There is no room left for the store ${file}.`, { cause: error })
    }
  }

  return {
    insertBox: (record) =>
      writing(async () => {
        try {
          await query.insertInto('boxes').values(row(record)).execute()
        } catch (error) {
          if (!isNotUnique(error)) throw error
          throw new GibilError('name_in_use', `A box named "${record.name}" exists already.`, {
            details: { name: record.name },
          })
        }
      }),
    saveBox: (record) =>
      writing(async () => {
        const { id, ...rest } = row(record)
        const result = await query.updateTable('boxes').set(rest).where('id', '=', id).executeTakeFirst()
        return result.numUpdatedRows > 0n
      }),
    async getBox(id) {
      const found = await query.selectFrom('boxes').select('record').where('id', '=', id).executeTakeFirst()
      return found && recordOf(found)
    },
    async findBoxByName(name, owner) {
      const found = await query
        .selectFrom('boxes')
        .select('record')
        .where('owner', '=', column(owner))
        .where('name', '=', name)
        .executeTakeFirst()
      return found && recordOf(found)
    },
    async listBoxes({ fleet, name, owner } = {}) {
      const rows = await query
        .selectFrom('boxes')
        .select('record')
        .$if(fleet !== undefined, (select) => select.where('fleet', '=', fleet ?? ''))
        .$if(owner !== undefined, (select) => select.where('owner', '=', column(owner ?? null)))
        .$if(name !== undefined, (select) => select.where('name', '=', name ?? ''))
        .orderBy('created_at')
        .orderBy('id')
        .execute()
      return rows.map(recordOf)
    },
    async countBoxes() {
      const { count } = await query
        .selectFrom('boxes')
        .select((select) => select.fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow()
      return count
    },
    removeBox: (id) => writing(async () => void (await query.deleteFrom('boxes').where('id', '=', id).execute())),

    async amounts(owner) {
      const { fn } = query
      const total = await query
        .selectFrom('boxes')
        .select([
          fn.countAll<number>().as('boxes'),
          fn.coalesce(fn.sum<number>('cpu'), sql.lit(0)).as('cpu'),
          fn.coalesce(fn.sum<number>('memory_mib'), sql.lit(0)).as('memoryMib'),
          fn.coalesce(fn.sum<number>('disk_mib'), sql.lit(0)).as('diskMib'),
        ])
        .where('owner', '=', column(owner))
        .executeTakeFirstOrThrow()
      return total
    },

    ...chargeTable(query, writing),
    ...sessionTable(query, writing),
    ...settingsTable(query, writing),
    ...snapshotTable(query, writing),
    ...tokenTable(query, writing),

    appendEvent: (event) =>
      writing(async () => {
        const data = JSON.stringify(event.data)
        const values = {
          at: event.at,
          type: event.type,
          box_id: event.boxId,
          box_name: event.boxName,
          owner: event.owner,
          data,
        }
        const { insertId } = await query.insertInto('events').values(values).executeTakeFirstOrThrow()
        const seq = Number(insertId)
        await query
          .deleteFrom('events')
          .where('seq', '<=', seq - keptEvents)
          .execute()
        return { seq, ...event }
      }),
    async listEvents(afterSeq, limit) {
      const rows = await query
        .selectFrom('events')
        .selectAll()
        .where('seq', '>', afterSeq)
        .orderBy('seq')
        .limit(limit)
        .execute()
      return rows.map(({ seq, at, type, box_id: boxId, box_name: boxName, owner, data }) =>
        Event.parse({ seq, at, type, boxId, boxName, owner, data: JSON.parse(data) }),
      )
    },
    async lastEventSeq() {
      const newest = raw.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'events'").get()?.['seq']
      return typeof newest === 'number' ? newest : 0
    },
    async close() {
      await query.destroy()
      // kysely closes only what it has used.
      if (raw.isOpen) raw.close()
    },
  }
}
