import type { Activity } from '../lease/activity.ts'
import type { Awake } from '../lease/awake.ts'
import type { WarmPool } from '../pool/warm-pool.ts'
import type { Admission } from './admission.ts'
import type { Backoff } from './backoff.ts'
import type { BoxdAccess } from './boxd-access.ts'
import type { Boxes } from './boxes.ts'
import type { ControlPlaneDeps, Policy } from './deps.ts'
import type { Drivers } from './drivers.ts'
import type { EventLog } from './event-log.ts'
import type { ProgressHub } from './progress.ts'
import type { Takeover } from './takeover.ts'

/** What the parts of the control plane share. */
export interface Context {
  readonly deps: ControlPlaneDeps
  readonly policy: Policy
  readonly boxes: Boxes
  readonly admission: Admission
  readonly events: EventLog
  readonly drivers: Drivers
  readonly boxd: BoxdAccess
  readonly progress: ProgressHub
  readonly backoff: Backoff
  readonly activity: Activity
  readonly awake: Awake
  readonly pool: WarmPool
  readonly takeover: Takeover
  /** Tokens for the clone of boxes being made, by box id: in memory only, and forgotten after the clone. */
  readonly tokens: Map<string, RepoToken>
  /** Aborts when the control plane stops: whatever is under way then ends without a trace, as in a crash. */
  readonly stopping: AbortSignal
}

export interface RepoToken {
  readonly username: string
  readonly password: string
}
