import type { Disposable } from 'vscode'
import type { Run } from '../commands/all.ts'
import type { Daemon } from '../daemon/daemon.ts'
import { askBeforeEnd } from '../daemon/settings.ts'
import { endingSoon, endOf } from './ending.ts'

/** Asks once about each end of a box that comes near. */
export function askBeforeBoxesEnd(daemon: Daemon, run: Run): Disposable {
  const asked = new Set<string>()
  return daemon.onChange(({ boxes }) => {
    for (const box of endingSoon(boxes, askBeforeEnd(), Date.now())) {
      if (asked.has(endOf(box))) continue
      asked.add(endOf(box))
      void run('askForTime', { box })
    }
  })
}
