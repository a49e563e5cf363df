import type { SessionRecord, Store } from '@gibil/core'
import type { Kysely } from 'kysely'
import { column } from './owner.ts'
import type { Schema } from './schema.ts'

const row = (record: SessionRecord) => ({
  id: record.id,
  owner: column(record.owner),
  created_at: record.createdAt,
  record: JSON.stringify(record),
})

// As for boxes: nobody else writes the file.
const recordOf = ({ record }: { readonly record: string }): SessionRecord => JSON.parse(record) as SessionRecord

type SessionStore = Pick<Store, 'insertSession' | 'saveSession' | 'getSession' | 'listSessions' | 'removeSession'>

/** The part of the store that keeps sessions. */
export function sessionTable(query: Kysely<Schema>, writing: <T>(write: () => Promise<T>) => Promise<T>): SessionStore {
  const records = query.selectFrom('sessions').select('record')
  return {
    insertSession: (record) =>
      writing(async () => void (await query.insertInto('sessions').values(row(record)).execute())),
    saveSession: (record) =>
      writing(async () => {
        const { id, ...rest } = row(record)
        await query.updateTable('sessions').set(rest).where('id', '=', id).execute()
      }),
    async getSession(id) {
      const found = await records.where('id', '=', id).executeTakeFirst()
      return found && recordOf(found)
    },
    async listSessions(owner) {
      const rows = await records
        .$if(owner !== undefined, (select) => select.where('owner', '=', column(owner ?? null)))
        .orderBy('created_at')
        .orderBy('id')
        .execute()
      return rows.map(recordOf)
    },
    removeSession: (id) =>
      writing(async () => void (await query.deleteFrom('sessions').where('id', '=', id).execute())),
  }
}
