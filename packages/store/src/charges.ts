import { Price } from '@gibil/contract'
import type { Store } from '@gibil/core'
import type { Kysely } from 'kysely'
import { column } from './owner.ts'
import type { Schema } from './schema.ts'

/** The part of the store that keeps what boxes that are gone have cost. */
export function chargeTable(
  query: Kysely<Schema>,
  writing: <T>(write: () => Promise<T>) => Promise<T>,
): Pick<Store, 'keepCharges' | 'listCharges'> {
  return {
    keepCharges: (box, charges) =>
      writing(async () => {
        if (charges.length === 0) return
        const values = charges.map(({ from, to, price }) => ({
          box_id: box.id,
          since: from,
          until: to,
          box_name: box.name,
          owner: column(box.owner),
          price: JSON.stringify(price),
        }))
        await query.replaceInto('charges').values(values).execute()
      }),
    async listCharges() {
      const rows = await query.selectFrom('charges').selectAll().orderBy('since').orderBy('box_id').execute()
      return rows.map(({ box_id, box_name, owner, since, until, price }) => ({
        box: { id: box_id, name: box_name, owner: owner === '' ? null : owner },
        charge: { from: since, to: until, price: Price.parse(JSON.parse(price)) },
      }))
    },
  }
}
