import type { BoxRecord } from '../box-record.ts'
import type { Wanted } from './budget.ts'
import type { Context } from './context.ts'
import { toSpec } from './spec.ts'

type Draft = Pick<BoxRecord, 'provider' | 'ttlMs' | 'maxCost'> &
  Omit<Parameters<typeof toSpec>[0], 'id' | 'name' | 'owner' | 'createdAt' | 'expiresAt'>

/** What a box could cost, where anything limits that; undefined where nothing does, and for boxes that cost nothing. */
export async function wantedOf({ deps, drivers }: Context, draft: Draft): Promise<Wanted | undefined> {
  const { ttlMs, maxCost = null, shape, provider } = draft
  const { daily, perBox } = await deps.store.getBudget()
  if (provider === 'local' || (daily === null && perBox === null && maxCost === null)) return undefined
  const driver = await drivers.reach({ provider, shape })
  if (!driver.quote) return undefined
  const named = { id: '', name: '', owner: null, createdAt: 0, expiresAt: null }
  const image = { name: draft.image, digest: draft.imageDigest, layers: [], env: {}, workdir: null, user: null }
  const offers = await driver.quote(toSpec({ ...draft, ...named }, image))
  return { offers, ttlMs, maxCost }
}
