import type { Session } from '@gibil/contract'
import type { SessionRecord } from '../session-record.ts'

const isoOrNull = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())

/** What is known of a session that runs, beside its record. Times in milliseconds since the epoch. */
export interface Live {
  readonly outputBytes: number
  readonly lastOutputAt: number | null
  readonly lastLines: string
}

export const sessionView = (record: SessionRecord, live: Live, now: number): Session => ({
  id: record.id,
  box: { id: record.boxId, name: record.boxName },
  owner: record.owner,
  agent: record.agent,
  task: record.task,
  state: record.state,
  outcome: record.outcome,
  exit: record.exit,
  job: record.jobId,
  envNames: [...record.envNames],
  timeoutSeconds: record.timeoutMs === null ? null : record.timeoutMs / 1000,
  onEnd: record.onEnd,
  outputBytes: live.outputBytes,
  quietSeconds:
    record.state === 'running' ? Math.max(0, now - (live.lastOutputAt ?? record.startedAt ?? now)) / 1000 : null,
  lastLines: live.lastLines,
  result: record.result,
  failure: record.failure,
  createdAt: new Date(record.createdAt).toISOString(),
  startedAt: isoOrNull(record.startedAt),
  endedAt: isoOrNull(record.endedAt),
})
