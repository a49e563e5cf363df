import type { Readiness } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'
import type { SnapshotRecord } from '../snapshot-record.ts'

/**
 * What has to be done after a start: services, `onStart` and session-start hooks do not outlive a stop. Where these failed a start tries them again; tasks,
 * which may not be meant to run twice, are left to whoever looks at the box.
 */
export function readinessAfterStart({
  readiness,
  failure,
  tasksDone,
  config,
  hooked = false,
}: Pick<BoxRecord, 'readiness' | 'failure' | 'tasksDone' | 'config' | 'hooked'>): Readiness {
  if (readiness === 'tasks' && tasksDone) return 'services'
  if (readiness === 'failed' && (tasksDone || failure?.code === 'service_failed')) return 'services'
  const again = hooked || (config !== null && config.services.length + config.onStart.length > 0)
  return readiness === 'ready' && again ? 'services' : readiness
}

/** The same for a box that has become what a snapshot holds: with its memory, what ran in it runs on. */
export const readinessFrom = ({ kind, saved }: SnapshotRecord): Readiness =>
  kind === 'disk' ? readinessAfterStart(saved) : saved.readiness
