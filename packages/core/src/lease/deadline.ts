import type { OnExpire } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'

/** When a lease ends, and by which of its two limits. */
export interface Deadline {
  readonly at: number
  readonly reason: 'ttl' | 'idle'
  /** How long the limit is. */
  readonly lengthMs: number
}

export interface Use {
  readonly lastActiveAt: number
  /** A connection is open or set-up runs: not idle. */
  readonly busy: boolean
}

/** The next end of the lease, if it has one. Only a running box can be idle. */
export function deadlineOf(record: BoxRecord, use: Use): Deadline | undefined {
  if (record.desired === 'gone') return undefined
  const { expiresAt, ttlMs, idleMs, status, desired } = record
  const ttl: Deadline | undefined =
    expiresAt === null ? undefined : { at: expiresAt, reason: 'ttl', lengthMs: ttlMs ?? expiresAt - record.createdAt }
  const counts = idleMs !== null && status === 'running' && desired === 'running' && !use.busy
  const idle: Deadline | undefined = counts
    ? { at: use.lastActiveAt + idleMs, reason: 'idle', lengthMs: idleMs }
    : undefined
  return ttl && idle ? (idle.at < ttl.at ? idle : ttl) : (ttl ?? idle)
}

/** What its end does to the box. */
export const actionAt = (record: BoxRecord, { reason }: Pick<Deadline, 'reason'>): OnExpire =>
  reason === 'idle' ? (record.onIdle ?? record.onExpire) : record.onExpire

/** How long before the end a warning is due: 5 minutes, or a tenth of the limit if that is less. */
const warningLead = ({ lengthMs }: Deadline): number => Math.min(5 * 60_000, lengthMs / 10)

/** How long before the end `beforeExpire` is begun, so that it has its time and the end is still on time: at most half of the limit. */
export const hookLead = ({ lengthMs }: Deadline, timeoutMs: number): number => Math.min(timeoutMs, lengthMs / 2)

export type LeaseStep = 'warn' | 'hook' | 'end'

/** What of the lease is due now, or else when to look again. */
export function nextLeaseStep(
  record: BoxRecord,
  deadline: Deadline,
  now: number,
  hookTimeoutMs: number | null,
): { readonly due: LeaseStep } | { readonly lookAt: number } {
  const { at } = deadline
  if (now >= at) return { due: 'end' }
  const steps: { readonly step: LeaseStep; readonly from: number }[] = []
  if (record.warnedFor !== at) steps.push({ step: 'warn', from: at - warningLead(deadline) })
  if (hookTimeoutMs !== null && record.hookFor !== at && record.status === 'running') {
    steps.push({ step: 'hook', from: at - hookLead(deadline, hookTimeoutMs) })
  }
  const due = steps.find(({ from }) => from <= now)
  return due ? { due: due.step } : { lookAt: Math.min(at, ...steps.map(({ from }) => from)) }
}
