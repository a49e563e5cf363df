import type { Snapshot } from '@gibil/contract'
import type { SnapshotRecord } from '../snapshot-record.ts'

/** A snapshot as the doors see it. */
export function toSnapshot({ saved, temporary: _, createdAt, ...record }: SnapshotRecord): Snapshot {
  const { shape, provider, image, size, isolation } = saved
  return { ...record, shape, provider, image, size, isolation, createdAt: new Date(createdAt).toISOString() }
}
