import type { Snapshot } from '@gibil/sdk'

type Node = Pick<Snapshot, 'id' | 'parent'>

/** Every one right after its parent, or after what came of that before. One whose parent is not in the list stands by itself. */
export function inTreeOrder<T extends Node>(snapshots: readonly T[]): { snapshot: T; depth: number }[] {
  const known = new Set(snapshots.map(({ id }) => id))
  const children = Map.groupBy(snapshots, ({ parent }) => (parent !== null && known.has(parent) ? parent : null))
  const below = (parent: string | null, depth: number): { snapshot: T; depth: number }[] =>
    (children.get(parent) ?? []).flatMap((snapshot) => [{ snapshot, depth }, ...below(snapshot.id, depth + 1)])
  return below(null, 0)
}
