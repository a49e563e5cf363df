import { GibilError } from '@gibil/contract'
import type { BoxPlane } from '@gibil/core'
import * as z from 'zod'
import { noSandbox, notDone } from '../errors.ts'
import { type Sandbox, stateOf } from '../view.ts'
import { defaultTimeout } from './create.ts'
import { type Page, pageOf } from './list.ts'
import { findSandbox } from './sandboxes.ts'
import { namesOf, snapshotIdOf, snapshotNamed } from './snapshot-names.ts'
import { beginTime, leaseUntilThere } from './time-left.ts'

export const TakeSnapshot = z.strictObject({ name: z.string().min(1).max(200).nullish() })
export const SnapshotQuery = z.strictObject({
  sandboxID: z.string().optional(),
  name: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(100).optional(),
  nextToken: z.string().optional(),
})
export const ForkSandbox = z.strictObject({
  count: z.int().min(1).max(100).nullish(),
  timeout: z.int().positive().nullish(),
})

interface WireSnapshot {
  readonly snapshotID: string
  readonly names: readonly string[]
}

export async function takeSnapshot(
  plane: BoxPlane,
  id: string,
  { name }: z.infer<typeof TakeSnapshot>,
): Promise<WireSnapshot> {
  const { box } = await findSandbox(plane, id)
  const [own, tag = 'default', ...more] = (name ?? '').split(':')
  if (tag !== 'default' || more.length > 0) throw notDone('A tag of a snapshot other than "default"')
  const snapshot = await plane.snapshot(box.id, own ? { name: own } : {})
  return { snapshotID: snapshotIdOf(snapshot), names: own ? namesOf(snapshot) : [] }
}

/** Oldest first. `isHidden`: by its id, which one is none that the caller took. */
export async function listSnapshots(
  plane: BoxPlane,
  { sandboxID, name, ...page }: z.infer<typeof SnapshotQuery>,
  isHidden: (id: string) => boolean,
): Promise<Page<WireSnapshot>> {
  const wanted = name?.replace(/:default$/, '')
  const filter = sandboxID === undefined ? {} : { box: sandboxID.split('-')[0] ?? '' }
  const found = (await plane.snapshots(filter)).filter(
    (one) => !isHidden(one.id) && (wanted === undefined || one.name === wanted),
  )
  const { items, next } = pageOf(found, page, ({ createdAt, id }) => `${createdAt} ${id}`)
  return { items: items.map((one) => ({ snapshotID: snapshotIdOf(one), names: namesOf(one) })), next }
}

/** Throws `snapshot_not_found`. */
export async function deleteSnapshot(plane: BoxPlane, called: string): Promise<void> {
  const snapshot = await snapshotNamed(plane, called)
  if (!snapshot) throw new GibilError('snapshot_not_found', `Template "${called.slice(0, 80)}" not found`)
  await plane.removeSnapshot(snapshot.id)
}

/** Sandboxes that begin as this one is now, which goes on. One that fails is told beside the others. */
export async function forkSandbox(
  plane: BoxPlane,
  id: string,
  { count, timeout }: z.infer<typeof ForkSandbox>,
  signal: AbortSignal,
): Promise<(Sandbox | GibilError)[]> {
  const { box, terms } = await findSandbox(plane, id)
  if (stateOf(box) !== 'running') throw new GibilError('wrong_state', `Sandbox "${box.id}" is paused`)
  const seconds = timeout ?? defaultTimeout
  const input = {
    from: box.id,
    count: count ?? 1,
    ttl: leaseUntilThere(seconds),
    onExpire: box.lease.onExpire,
    wait: 'ready',
  } as const
  const { boxes, failures } = await plane.fork(input, { signal })
  if (boxes.length === 0 && !(await plane.get(box.id).catch(() => undefined))) throw noSandbox(id)
  const begun = await Promise.all(boxes.map((fork) => beginTime(plane, fork, seconds)))
  return [
    ...begun.map((fork): Sandbox => ({ box: fork, terms })),
    ...failures.map(({ failure }) => GibilError.fromBody({ error: failure }, 'A fork failed.')),
  ]
}
