import { type Box, type CreateBox, compareAmounts, GibilError, hourlyOf, type Price } from '@gibil/contract'
import { newBoxId } from '../box/ids.ts'
import { checkName, friendlyName } from '../box/names.ts'
import type { BoxRecord, Owner } from '../box-record.ts'
import type { CreateOptions } from '../control-plane.ts'
import type { Gate } from '../util/gate.ts'
import { abortable } from '../util/timing.ts'
import type { Place } from './admission.ts'
import type { Context } from './context.ts'
import type { KeptSetups } from './kept-setups.ts'
import type { Reconciler } from './reconciler.ts'
import { type Settled, settle } from './settle.ts'
import { viewOf } from './view-of.ts'
import { waitFor } from './waiting.ts'
import { wantedOf } from './wanted-cost.ts'

export interface Creator {
  create(input: CreateBox, options?: CreateOptions): Promise<Box>
  /** Makes one box of what was settled, in the place that is kept for it; `name` null: one is made up. */
  make(
    settled: Settled,
    place: Place,
    name: string | null,
    wait: CreateBox['wait'],
    options: CreateOptions,
  ): Promise<Box>
}

/** Names that are made up collide hardly ever; more often than this is a fault. */
const nameTries = 8

/** What keeps its machine within the budgets, whichever is to be had. */
export function pricedBy(
  { cloudWish }: Pick<BoxRecord, 'cloudWish'>,
  price: Price | undefined,
): Pick<BoxRecord, 'estimate' | 'cloudWish'> {
  if (!price) return {}
  const most = hourlyOf(price)
  const asked = cloudWish?.maxHourly
  const maxHourly = asked !== undefined && compareAmounts(asked, most) < 0 ? asked : most
  return { estimate: price, cloudWish: { ...cloudWish, maxHourly } }
}

/** Throws `name_in_use`; somebody may still take it later. */
export async function checkNameIsFree(boxes: Context['boxes'], name: string, owner: Owner): Promise<void> {
  if ((await boxes.list({ name, owner })).length === 0) return
  throw new GibilError('name_in_use', `A box named "${name}" exists already.`, { details: { name } })
}

export function createCreator(
  context: Context,
  reconciler: Reconciler,
  gate: Gate,
  kept: Pick<KeptSetups, 'beginningOf'>,
): Creator {
  const { admission, boxes, deps, pool, progress, stopping, tokens } = context
  const { clock, random } = deps

  const insert = async (settled: Settled, place: Place, name: string | null): Promise<BoxRecord> => {
    const { token } = settled
    const draft = { ...settled.draft, ...(await kept.beginningOf(settled.draft, place.owner)) }
    const spare = pool.take(draft)
    for (let count = 1; ; count += 1) {
      const createdAt = clock.now()
      const record: BoxRecord = {
        ...draft,
        ...pricedBy(draft, place.price),
        id: spare ?? newBoxId(random),
        name: name ?? friendlyName(random),
        owner: place.owner,
        createdAt,
        expiresAt: draft.ttlMs === null ? null : createdAt + draft.ttlMs,
      }
      if (token) tokens.set(record.id, token)
      try {
        await place.take(record)
        return record
      } catch (error) {
        tokens.delete(record.id)
        const taken = GibilError.is(error) && error.code === 'name_in_use'
        if (!taken || name !== null || count >= nameTries) {
          if (spare) pool.giveBack(spare)
          throw error
        }
      }
    }
  }

  const make: Creator['make'] = async (settled, place, name, wait = 'ready', { onProgress, signal }) => {
    if (signal?.aborted) place.leave()
    signal?.throwIfAborted()
    const inserted = Promise.withResolvers<BoxRecord>()
    // It goes on when the caller leaves; then nobody hears of a failure but the events.
    const done = gate.run(async () => {
      stopping.throwIfAborted()
      const record = await insert(settled, place, name)
      if (onProgress) {
        onProgress({ phase: 'created', message: record.name })
        if (record.setupDone) onProgress({ phase: 'setup', message: 'as an earlier box has left it' })
      }
      inserted.resolve(record)
      await reconciler.converge(record.id)
    }, place.owner)
    done.catch((error) => inserted.reject(error)).finally(() => place.leave())
    const record = await abortable(inserted.promise, signal)
    const silence = onProgress ? progress.listen(record.id, onProgress) : undefined
    try {
      if (wait === 'created') return viewOf(context, record)
      // What the create itself threw says more than what is kept of it.
      const failed = new Promise<never>((_, reject) => done.catch(reject))
      return viewOf(context, await Promise.race([waitFor(context, record, wait, signal), failed]))
    } finally {
      silence?.()
    }
  }

  return {
    make,
    async create(input, options = {}) {
      const { name, wait, ...rest } = input
      const { owner = null } = options
      if (name !== undefined) {
        checkName(name)
        await checkNameIsFree(boxes, name, owner)
      }
      const begin = clock.now()
      const settled = await settle(context, rest, { owner })
      options.onProgress?.({ phase: 'check', ms: clock.now() - begin })
      const place = await admission.reserve(owner, settled.draft.size, await wantedOf(context, settled.draft))
      return make(settled, place, name ?? null, wait, options)
    },
  }
}
