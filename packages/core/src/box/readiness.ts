import type { Readiness } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'
import type { SnapshotRecord } from '../snapshot-record.ts'

/** What has to be done after a start: services, `onStart` and session-start hooks do not outlive a stop. */
export function readinessAfterStart({
  readiness,
  tasksDone,
  config,
  hooked = false,
}: Pick<BoxRecord, 'readiness' | 'tasksDone' | 'config' | 'hooked'>): Readiness {
  if (readiness === 'tasks' && tasksDone) return 'services'
  const again = hooked || (config !== null && config.services.length + config.onStart.length > 0)
  return readiness === 'ready' && again ? 'services' : readiness
}

/** The same for a box that has become what a snapshot holds: with its memory, what ran in it runs on. */
export const readinessFrom = ({ kind, saved }: SnapshotRecord): Readiness =>
  kind === 'disk' ? readinessAfterStart(saved) : saved.readiness
