import type { Snapshot } from '@gibil/contract'
import type { SnapshotRecord } from '../snapshot-record.ts'

/** A snapshot as the doors see it. */
export function toSnapshot({ saved, setup, temporary: _, createdAt, ...record }: SnapshotRecord): Snapshot {
  const { shape, provider, image, size, isolation } = saved
  const made = { shape, provider, image, size, isolation }
  return { ...record, ...made, setup: setup !== undefined, createdAt: new Date(createdAt).toISOString() }
}
