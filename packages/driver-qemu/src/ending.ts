import type { SelfEnding } from '@gibil/core'
import { lastWords } from './console.ts'
import type { MachineModel } from './model.ts'

/** QEMU's own word of it, in its log, so that it is known also when no daemon was there to see: `qemu-system-x86_64 -trace help`. */
export const shutdownTrace = 'qemu_system_shutdown_request'
/** `ShutdownCause` in qapi/run-state.json of QEMU counts it: guest-shutdown. */
const byGuest = new RegExp(`^${shutdownTrace} reason=6$`, 'm')
/** kernel_restart() in kernel/reboot.c of Linux. A machine that restarts ends, and QEMU has no words for why. */
const restarts = /reboot: Restarting system/

export interface Ending {
  readonly asked?: SelfEnding
  /** For its owner. */
  readonly reason: string
}

/** Why a machine ended that nobody ended: what its guest asked for, else by its kernel's last words. The guest may print what it likes: it decides over its own end. */
export function endingOf(log: string, console: string, { hasInit }: Pick<MachineModel, 'hasInit'>): Ending {
  const words = lastWords(console)
  if (words !== undefined) return { reason: words }
  if (byGuest.test(log)) return { asked: 'power-off', reason: 'it powered itself off' }
  // The machine of a microVM has no power to switch off: boxd, its first process, ends it by a restart, also when it fails.
  if (hasInit && restarts.test(console)) return { asked: 'reboot', reason: 'it rebooted' }
  return { reason: 'ended' }
}

/** What QEMU said of why it could not go on. */
export const complaintsOf = (log: string): string =>
  log
    .split('\n')
    .filter((line) => !line.includes(shutdownTrace))
    .join('\n')
