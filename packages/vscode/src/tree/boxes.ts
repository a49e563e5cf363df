import type { Box } from '@gibil/sdk'
import { type Disposable, EventEmitter, type TreeDataProvider, window } from 'vscode'
import type { Daemon } from '../daemon/daemon.ts'
import { boxRow, factRows, portRow, type Row } from '../labels/box.ts'
import { treeItem } from './item.ts'

/** A line below Boxes: a box, or something of one. */
interface BoxNode {
  readonly box: Box
  readonly row: Row
  /** Of the line of a published port. */
  readonly port?: number
}

/** The boxes of the daemon with what is known of them. */
export function showBoxes(daemon: Daemon): Disposable {
  const changed = new EventEmitter<undefined>()
  const provider: TreeDataProvider<BoxNode> = {
    onDidChangeTreeData: changed.event,
    getTreeItem: ({ row, box }) => treeItem(row, row.id === box.id),
    getChildren: (node) => {
      const now = Date.now()
      if (!node) return daemon.seen.boxes.map((box) => ({ box, row: boxRow(box, now) }))
      if (node.row.id !== node.box.id) return []
      const { box } = node
      const ports = box.published.map((published) => ({ box, row: portRow(box, published), port: published.port }))
      return [...factRows(box, now).map((row) => ({ box, row })), ...ports]
    },
  }
  const view = window.createTreeView('gibil.boxes', { treeDataProvider: provider })
  const listener = daemon.onChange(() => {
    changed.fire(undefined)
    const { length } = daemon.seen.boxes
    view.badge = length === 0 ? undefined : { value: length, tooltip: `${length} ${length === 1 ? 'box' : 'boxes'}` }
  })
  return { dispose: () => [listener, view, changed].map((part) => part.dispose()) }
}
