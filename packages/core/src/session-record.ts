import type { Exit, Failure, OnEnd, SessionOutcome, SessionResult, SessionState, TtySize } from '@gibil/contract'
import type { Owner } from './box-record.ts'

/** A session as the store keeps it. Times are milliseconds since the epoch. Holds no value of a variable: names only. */
export interface SessionRecord {
  readonly id: string
  readonly owner: Owner
  readonly boxId: string
  readonly boxName: string
  readonly agent: string
  readonly task: string
  readonly envNames: readonly string[]
  readonly tty: TtySize
  readonly timeoutMs: number | null
  readonly onEnd: OnEnd
  readonly state: SessionState
  readonly outcome: SessionOutcome | null
  readonly jobId: string | null
  /** Somebody wants it to end. */
  readonly stopping: boolean
  readonly exit: Exit | null
  readonly lastLines: string
  readonly result: SessionResult | null
  readonly failure: Failure | null
  readonly createdAt: number
  readonly startedAt: number | null
  readonly endedAt: number | null
}
