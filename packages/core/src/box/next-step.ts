import type { BoxRecord } from '../box-record.ts'

/** One change outside the process; each may be repeated. */
export type Step =
  | 'create'
  | 'adopt'
  | 'remake'
  | 'start'
  | 'stop'
  | 'pause'
  | 'resume'
  | 'restore'
  | 'egress'
  | 'clear'
  | 'destroy'

/** The next step from what a box is to what it should be; undefined when they are the same. */
export function nextStep({
  desired,
  status,
  adopting,
  moving,
  remake,
  restart,
  restoring,
  egressBehind,
  stopAsSnapshot,
  cloud,
}: Pick<
  BoxRecord,
  | 'desired'
  | 'status'
  | 'adopting'
  | 'moving'
  | 'remake'
  | 'restart'
  | 'restoring'
  | 'egressBehind'
  | 'stopAsSnapshot'
  | 'cloud'
>): Step | undefined {
  if (desired === 'gone') return 'destroy'
  if (adopting) return 'adopt'
  if (moving) return 'clear'
  if (remake) return 'remake'
  if (restoring !== null) return 'restore'
  const lives = status === 'running' || status === 'paused'
  if (restart && desired === 'running' && lives) return 'stop'
  if (egressBehind && lives) return 'egress'
  switch (status) {
    case 'creating':
      return 'create'
    case 'running':
      return desired === 'paused' ? 'pause' : desired === 'stopped' ? 'stop' : undefined
    case 'paused':
      return desired === 'running' ? 'resume' : desired === 'stopped' ? 'stop' : undefined
    case 'stopped':
    case 'failed':
      // It was told to pause while it was being started anew: first the one, then the other.
      if (desired === 'running' || (desired === 'paused' && status === 'stopped')) return 'start'
      // One that is off is billed until only a snapshot of it is left.
      return desired === 'stopped' && stopAsSnapshot && cloud?.billedSince ? 'stop' : undefined
    case 'destroying':
    case 'destroyed':
      return 'destroy'
  }
}
