import type { Context } from './context.ts'
import { boxPaths } from './names.ts'
import { withMonitor } from './qmp.ts'
import { runState } from './run-state.ts'

/** What a machine waits for that `standsForRoom`, in words for its owner. */
export const room = 'room on the disk of the host'

/**
 * Whether QEMU has the machine stand still since a write of its guest found no room on the host (`werror=enospc`: docs/system/qemu-block-drivers of QEMU). The guest has
 * lost nothing: the write is tried again when the machine goes on. False too when QEMU does not say within `limitMs`.
 */
export async function standsForRoom(context: Context, id: string, limitMs: number): Promise<boolean> {
  const options = { greetingMs: limitMs, answerMs: limitMs }
  const asked = withMonitor(boxPaths(context.names, id).monitor, runState, options)
  return (await asked.catch(() => undefined)) === 'io-error'
}

/** Has the machine try once more: without room it stands still again at once. */
export async function tryAgain(context: Context, id: string): Promise<void> {
  await withMonitor(boxPaths(context.names, id).monitor, (monitor) => monitor.run('cont'))
}
