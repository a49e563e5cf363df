import { type Box, type CreateBox, GibilError } from '@gibil/contract'
import { newBoxId } from '../box/ids.ts'
import { checkName, friendlyName } from '../box/names.ts'
import { toBox } from '../box/view.ts'
import type { BoxRecord } from '../box-record.ts'
import type { CreateOptions } from '../control-plane.ts'
import type { Gate } from '../util/gate.ts'
import { abortable } from '../util/timing.ts'
import type { Context } from './context.ts'
import type { Reconciler } from './reconciler.ts'
import { type Settled, settle } from './settle.ts'
import { waitFor } from './waiting.ts'

export interface Creator {
  create(input: CreateBox, options?: CreateOptions): Promise<Box>
  /** Makes one box of what was settled; `name` null: one is made up. */
  make(settled: Settled, name: string | null, wait: CreateBox['wait'], options: CreateOptions): Promise<Box>
}

/** Names that are made up collide hardly ever; more often than this is a fault. */
const nameTries = 8

export function createCreator(context: Context, reconciler: Reconciler, gate: Gate): Creator {
  const { boxes, deps, policy, pool, progress, stopping, tokens } = context
  const { clock, random } = deps

  const insert = async ({ draft, token }: Settled, name: string | null): Promise<BoxRecord> => {
    const kept = await boxes.count()
    if (kept >= policy.maxBoxes) {
      throw new GibilError('limit_reached', `${kept} boxes are kept, which is as many as this daemon takes.`)
    }
    const spare = pool.take(draft)
    for (let count = 1; ; count += 1) {
      const createdAt = clock.now()
      const record: BoxRecord = {
        ...draft,
        id: spare ?? newBoxId(random),
        name: name ?? friendlyName(random),
        createdAt,
        expiresAt: draft.ttlMs === null ? null : createdAt + draft.ttlMs,
      }
      if (token) tokens.set(record.id, token)
      try {
        await boxes.insert(record)
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

  const make: Creator['make'] = async (settled, name, wait = 'ready', { onProgress, signal }) => {
    signal?.throwIfAborted()
    const inserted = Promise.withResolvers<BoxRecord>()
    // It goes on when the caller leaves; then nobody hears of a failure but the events.
    const done = gate.run(async () => {
      stopping.throwIfAborted()
      const record = await insert(settled, name)
      if (onProgress) {
        onProgress({ phase: 'created', message: record.name })
      }
      inserted.resolve(record)
      await reconciler.converge(record.id)
    })
    done.catch((error) => inserted.reject(error))
    const record = await abortable(inserted.promise, signal)
    const silence = onProgress ? progress.listen(record.id, onProgress) : undefined
    try {
      if (wait === 'created') return toBox(record)
      // What the create itself threw says more than what is kept of it.
      const failed = new Promise<never>((_, reject) => done.catch(reject))
      return toBox(await Promise.race([waitFor(context, record, wait, signal), failed]))
    } finally {
      silence?.()
    }
  }

  return {
    make,
    async create(input, options = {}) {
      const { name, wait, ...rest } = input
      if (name !== undefined) {
        checkName(name)
        if ((await boxes.list({ name })).length > 0) {
          throw new GibilError('name_in_use', `A box named "${name}" exists already.`, { details: { name } })
        }
      }
      const begin = clock.now()
      const settled = await settle(context, rest, null)
      options.onProgress?.({ phase: 'check', ms: clock.now() - begin })
      return make(settled, name ?? null, wait, options)
    },
  }
}
