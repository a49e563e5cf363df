import { readinessFrom } from '../box/readiness.ts'
import type { BoxRecord } from '../box-record.ts'
import type { ResolvedImage } from '../ports/driver.ts'
import type { Context } from './context.ts'
import { resolveImage } from './images.ts'
import { noSuchSnapshot } from './snapshot-records.ts'
import { toSpec } from './spec.ts'

interface RestoreStep {
  readonly context: Context
  readonly configure: (record: BoxRecord, image: ResolvedImage, signal: AbortSignal) => Promise<void>
}

/** The step of the reconciler. A restore that fails is not tried again: the box stays what it was. */
export async function restoreStep(
  { context, configure }: RestoreStep,
  record: BoxRecord,
  signal: AbortSignal,
): Promise<void> {
  const { boxes, deps, drivers, events } = context
  const driver = drivers.for(record)
  const snapshot = record.restoring === null ? undefined : await deps.store.getSnapshot(record.restoring)
  try {
    if (!snapshot || !driver.restore) throw noSuchSnapshot(record.restoring ?? '')
    const image = await resolveImage(deps.images, record.provider, record.imageDigest)
    const { address } = await driver.restore(toSpec(record, image), snapshot.id, { signal })
    signal.throwIfAborted()
    const { ports, repo, config, remakes, tasksDone, failure } = snapshot.saved
    const state = { ports, repo, config, remakes, tasksDone, failure, readiness: readinessFrom(snapshot) }
    await configure({ ...record, ...state }, image, signal)
    const now = deps.clock.now()
    const seen = { startedAt: now, lastActiveAt: now, unresponsiveSince: null }
    const running = { status: 'running', address, restart: null, ...seen } as const
    const after = await boxes.update(record.id, ({ desired }) =>
      desired === 'gone' ? undefined : { ...state, ...running, restoring: null, parent: snapshot.id },
    )
    if (after) {
      await events.append('box.restored', after, { snapshot: snapshot.name, snapshotId: snapshot.id })
    }
  } catch (error) {
    signal.throwIfAborted()
    const actual = await driver.inspect(record.id)
    const found = actual === undefined || actual.status === 'partial' ? 'stopped' : actual.status
    await boxes.update(record.id, ({ desired }) =>
      desired === 'gone'
        ? undefined
        : { restoring: null, status: found, desired: found, address: actual?.address ?? null },
    )
    throw error
  }
}
