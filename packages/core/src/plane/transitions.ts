import type { EventType } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'

export interface Transition {
  readonly type: EventType
  readonly data: Readonly<Record<string, unknown>>
}

/** The events that a change of a record means, in order. */
export function transitions(
  before: BoxRecord,
  after: BoxRecord,
  note: Readonly<Record<string, unknown>> = {},
): Transition[] {
  const events: Transition[] = []
  const add = (type: EventType, data: Readonly<Record<string, unknown>> = {}): void => void events.push({ type, data })
  if (after.desired === 'gone' && before.desired !== 'gone') {
    add('box.destroying', { ...note, ...(after.failure ? { failure: after.failure } : {}) })
  }
  if (after.status !== before.status) {
    if (after.status === 'running') {
      add(before.status === 'paused' ? 'box.resumed' : 'box.running', { address: after.address, ...note })
    }
    if (after.status === 'paused') add('box.paused', note)
    if (after.status === 'stopped') add('box.stopped', note)
    if (after.status === 'failed') add('box.failed', { failure: after.failure, ...note })
  }
  const [silent, wasSilent] = [after.unresponsiveSince ?? null, before.unresponsiveSince ?? null]
  if (after.status === 'running' && before.status === 'running' && (silent === null) !== (wasSilent === null)) {
    if (silent === null) add('box.responsive')
    else add('box.unresponsive', { since: new Date(silent).toISOString(), ...note })
  }
  if (after.readiness !== before.readiness) {
    add('box.readiness', { readiness: after.readiness, before: before.readiness })
    if (after.readiness === 'failed' && after.status !== 'failed')
      add('box.failed', { failure: after.failure, ...note })
  }
  for (const { port } of before.published) {
    if (!after.published.some((one) => one.port === port)) add('box.unpublished', { port })
  }
  for (const { port, public: open } of after.published) {
    if (!before.published.some((one) => one.port === port && one.public === open)) {
      add('box.published', { port, public: open })
    }
  }
  return events
}
