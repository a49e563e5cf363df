import { type Disposable, StatusBarAlignment, ThemeColor, window } from 'vscode'
import type { Daemon } from './daemon/daemon.ts'
import { askBeforeEnd } from './daemon/settings.ts'
import { endingSoon } from './expiry/ending.ts'
import { statusText } from './labels/status.ts'

/** How many boxes there are, or which one ends soon; shows them when it is clicked. */
export function showStatus(daemon: Daemon): Disposable {
  const item = window.createStatusBarItem('gibil', StatusBarAlignment.Left, 10)
  item.name = 'Gibil'
  item.command = 'gibil.boxes.focus'
  const listener = daemon.onChange((seen) => {
    const now = Date.now()
    const { text, tooltip, urgent } = statusText(seen, endingSoon(seen.boxes, askBeforeEnd(), now), now)
    item.text = text
    item.tooltip = tooltip
    item.backgroundColor = urgent ? new ThemeColor('statusBarItem.warningBackground') : undefined
    item.show()
  })
  return { dispose: () => [listener, item].map((part) => part.dispose()) }
}
