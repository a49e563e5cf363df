import type { Snapshot } from '@gibil/sdk'
import { type Disposable, EventEmitter, type TreeDataProvider, window } from 'vscode'
import type { Daemon } from '../daemon/daemon.ts'
import { snapshotRow } from '../labels/box.ts'
import { treeItem } from './item.ts'

export interface SnapshotNode {
  readonly snapshot: Snapshot
}

/** All snapshots, newest first, also of boxes that are gone. */
export function showSnapshots(daemon: Daemon): Disposable {
  const changed = new EventEmitter<undefined>()
  const provider: TreeDataProvider<SnapshotNode> = {
    onDidChangeTreeData: changed.event,
    getTreeItem: ({ snapshot }) => treeItem(snapshotRow(snapshot, Date.now()), false),
    getChildren: (node) => (node ? [] : daemon.seen.snapshots.map((snapshot) => ({ snapshot })).reverse()),
  }
  const view = window.createTreeView('gibil.snapshots', { treeDataProvider: provider })
  const listener = daemon.onChange(() => changed.fire(undefined))
  return { dispose: () => [listener, view, changed].map((part) => part.dispose()) }
}
