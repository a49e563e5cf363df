import { BudgetLimits } from '@gibil/contract'
import type { Store } from '@gibil/core'
import type { Kysely } from 'kysely'
import type { Schema } from './schema.ts'

/** The part of the store that keeps what was set for the whole daemon. */
export function settingsTable(
  query: Kysely<Schema>,
  writing: <T>(write: () => Promise<T>) => Promise<T>,
): Pick<Store, 'getBudget' | 'setBudget'> {
  return {
    async getBudget() {
      const row = await query.selectFrom('settings').select('value').where('name', '=', 'budget').executeTakeFirst()
      return row ? BudgetLimits.parse(JSON.parse(row.value)) : { daily: null, perBox: null }
    },
    setBudget: (limits) =>
      writing(async () => {
        const values = { name: 'budget', value: JSON.stringify(limits) }
        await query.replaceInto('settings').values(values).execute()
      }),
  }
}
