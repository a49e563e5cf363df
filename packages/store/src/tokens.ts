import { GibilError, TokenLimits } from '@gibil/contract'
import type { Store, TokenRecord } from '@gibil/core'
import type { Kysely, Selectable } from 'kysely'
import { isNotUnique } from './database.ts'
import type { Schema } from './schema.ts'

const tokenOf = (row: Selectable<Schema['tokens']>): TokenRecord => ({
  name: row.name,
  hash: row.hash,
  limits: TokenLimits.parse(JSON.parse(row.limits)),
  createdAt: row.created_at,
  expiresAt: row.expires_at,
})

type TokenStore = Pick<Store, 'insertToken' | 'getToken' | 'findTokenByHash' | 'listTokens' | 'removeToken'>

/** The part of the store that keeps tokens. */
export function tokenTable(query: Kysely<Schema>, writing: <T>(write: () => Promise<T>) => Promise<T>): TokenStore {
  const tokens = query.selectFrom('tokens').selectAll()
  return {
    insertToken: ({ name, hash, limits, createdAt, expiresAt }) =>
      writing(async () => {
        const values = { hash, name, limits: JSON.stringify(limits), created_at: createdAt, expires_at: expiresAt }
        try {
          await query.insertInto('tokens').values(values).execute()
        } catch (error) {
          if (!isNotUnique(error)) throw error
          throw new GibilError('name_in_use', `A token named "${name}" exists already.`, {
            hint: `Revoke it first: \`gibil token revoke ${name}\`. Its boxes then belong to the new one.`,
            details: { name },
          })
        }
      }),
    async getToken(name) {
      const found = await tokens.where('name', '=', name).executeTakeFirst()
      return found && tokenOf(found)
    },
    async findTokenByHash(hash) {
      const found = await tokens.where('hash', '=', hash).executeTakeFirst()
      return found && tokenOf(found)
    },
    listTokens: async () => (await tokens.orderBy('name').execute()).map(tokenOf),
    removeToken: (name) =>
      writing(async () => {
        const { numDeletedRows } = await query.deleteFrom('tokens').where('name', '=', name).executeTakeFirst()
        return numDeletedRows > 0n
      }),
  }
}
