import { GibilError } from '@gibil/contract'
import type { SnapshotRecord, Store } from '@gibil/core'
import type { Kysely } from 'kysely'
import { isNotUnique } from './database.ts'
import { column } from './owner.ts'
import type { Schema } from './schema.ts'

const row = (record: SnapshotRecord) => ({
  id: record.id,
  owner: column(record.owner),
  name: record.name,
  created_at: record.createdAt,
  record: JSON.stringify(record),
})

// As for boxes: nobody else writes the file.
const recordOf = ({ record }: { readonly record: string }): SnapshotRecord => JSON.parse(record) as SnapshotRecord

type SnapshotStore = Pick<
  Store,
  'insertSnapshot' | 'saveSnapshot' | 'getSnapshot' | 'findSnapshotByName' | 'listSnapshots' | 'removeSnapshot'
>

/** The part of the store that keeps snapshots. */
export function snapshotTable(
  query: Kysely<Schema>,
  writing: <T>(write: () => Promise<T>) => Promise<T>,
): SnapshotStore {
  const records = query.selectFrom('snapshots').select('record')
  return {
    insertSnapshot: (record) =>
      writing(async () => {
        try {
          await query.insertInto('snapshots').values(row(record)).execute()
        } catch (error) {
          if (!isNotUnique(error)) throw error
          throw new GibilError('name_in_use', `A snapshot named "${record.name}" exists already.`, {
            hint: `Choose another name, or remove it: \`gibil snapshots rm ${record.name}\`.`,
            details: { name: record.name },
          })
        }
      }),
    saveSnapshot: (record) =>
      writing(async () => {
        const { id, ...rest } = row(record)
        await query.updateTable('snapshots').set(rest).where('id', '=', id).execute()
      }),
    async getSnapshot(id) {
      const found = await records.where('id', '=', id).executeTakeFirst()
      return found && recordOf(found)
    },
    async findSnapshotByName(name, owner) {
      const found = await records.where('owner', '=', column(owner)).where('name', '=', name).executeTakeFirst()
      return found && recordOf(found)
    },
    async listSnapshots(owner) {
      const rows = await records
        .$if(owner !== undefined, (select) => select.where('owner', '=', column(owner ?? null)))
        .orderBy('created_at')
        .orderBy('id')
        .execute()
      return rows.map(recordOf)
    },
    removeSnapshot: (id) =>
      writing(async () => void (await query.deleteFrom('snapshots').where('id', '=', id).execute())),
  }
}
