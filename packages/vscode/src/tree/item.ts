import { ThemeColor, ThemeIcon, TreeItem, TreeItemCollapsibleState } from 'vscode'
import type { Row } from '../labels/box.ts'

export function treeItem(row: Row, unfolds: boolean): TreeItem {
  const item = new TreeItem(row.label, unfolds ? TreeItemCollapsibleState.Collapsed : TreeItemCollapsibleState.None)
  item.id = row.id
  item.contextValue = row.context
  item.iconPath = row.color === undefined ? new ThemeIcon(row.icon) : new ThemeIcon(row.icon, new ThemeColor(row.color))
  if (row.description !== undefined) item.description = row.description
  if (row.tooltip !== undefined) item.tooltip = row.tooltip
  return item
}
