import type { CallOptions, Client } from './client/client.ts'
import type { Pace } from './client/pace.ts'
import type { Catalog } from './plan.ts'

/** What is sold changes by the minute, but a fleet need not ask for each of its boxes. */
const freshMs = 20_000

export interface CatalogSource {
  /** At most `maxAgeMs` old; 20 s if absent. */
  get(options?: CallOptions & { readonly maxAgeMs?: number }): Promise<Catalog>
}

export function createCatalog(client: Client, pace: Pace): CatalogSource {
  let known: { readonly at: number; readonly catalog: Catalog } | undefined
  return {
    async get({ maxAgeMs = freshMs, ...options } = {}) {
      if (known !== undefined && pace.now() - known.at < maxAgeMs) return known.catalog
      const [serverTypes, pricing] = await Promise.all([client.serverTypes(options), client.pricing(options)])
      known = { at: pace.now(), catalog: { serverTypes, pricing } }
      return known.catalog
    },
  }
}
