import { type Box, costInWords, formatBytes, formatMoney, refOf, type Snapshot, sizeInWords } from '@gibil/sdk'
import { plain } from './plain.ts'
import { coarse, timeLeft } from './time.ts'

/** A line of a tree, before VS Code draws it. */
export interface Row {
  /** Stays the same while the thing does, so that what is unfolded stays so. */
  readonly id: string
  readonly label: string
  readonly description?: string
  readonly tooltip?: string
  readonly icon: string
  readonly color?: string
  /** What menus ask about. */
  readonly context: string
}

/** `running`, or how far its set-up is while that says more. */
export function stateOf({ status, readiness, unresponsiveSince }: Box): string {
  if (status !== 'running') return status
  if (unresponsiveSince !== null) return 'does not answer'
  if (readiness === 'ready') return 'running'
  return readiness === 'failed' ? 'set-up failed' : `set-up: ${readiness}`
}

function iconOf(box: Box): Pick<Row, 'icon' | 'color'> {
  if (box.status === 'failed' || box.readiness === 'failed') return { icon: 'error', color: 'errorForeground' }
  if (box.unresponsiveSince !== null) return { icon: 'warning', color: 'list.warningForeground' }
  if (box.status === 'paused') return { icon: 'debug-pause' }
  if (box.status === 'stopped') return { icon: 'circle-outline' }
  if (box.status === 'running' && box.readiness === 'ready') return { icon: 'vm-running', color: 'charts.green' }
  return { icon: 'loading~spin' }
}

/** Words that menus match: `usable` (a paused box wakes when it is used), `there` (it has a disk), and its status. */
function contextOf({ status }: Box): string {
  const usable = status === 'running' || status === 'paused'
  return `box ${status}${usable ? ' usable' : ''}${usable || status === 'stopped' ? ' there' : ''}`
}

export function boxRow(box: Box, now: number): Row {
  const { cost } = box
  const facts = [
    stateOf(box),
    timeLeft(box, now),
    ...(cost?.billed ? [`${formatMoney(cost.hourly, cost.currency)}/h`] : []),
  ]
  const lines = [
    `${refOf(box)}: ${stateOf(box)}`,
    `${box.shape} on ${box.provider}, image ${box.image}, ${sizeInWords(box.size)}`,
    `${timeLeft(box, now)}, then ${box.lease.onExpire}`,
    costInWords(box) ?? 'costs nothing',
    ...(box.repo ? [`${box.repo.source} in ${box.repo.path}`] : []),
    ...(box.failure ? [`${box.failure.message} ${box.failure.hint}`] : []),
  ]
  return {
    id: box.id,
    label: refOf(box),
    description: facts.join(' · '),
    tooltip: lines.join('\n'),
    ...iconOf(box),
    context: contextOf(box),
  }
}

/** What is told below a box; its ports come after it. */
export function factRows(box: Box, now: number): Row[] {
  const { id, lease, repo, failure } = box
  const spent = costInWords(box)
  const row = (name: string, icon: string, label: string, more: Partial<Row> = {}): Row => ({
    id: `${id}/${name}`,
    label,
    icon,
    context: 'fact',
    ...more,
  })
  const place = box.cloud ? `${box.cloud.serverType} in ${box.cloud.location}` : 'this machine'
  return [
    ...(failure
      ? [
          row('failure', 'error', plain(failure.message), {
            tooltip: `${failure.message}\n${failure.hint}`,
            color: 'errorForeground',
            context: 'failure',
          }),
        ]
      : []),
    row('shape', 'server', `${box.shape} on ${place}`, { description: `${box.image} · ${sizeInWords(box.size)}` }),
    row('time', 'watch', timeLeft(box, now), {
      ...(lease.expiresAt === null ? {} : { description: `then ${lease.onExpire}` }),
      context: 'time',
    }),
    ...(spent === undefined ? [] : [row('cost', 'credit-card', spent)]),
    ...(repo
      ? [row('repo', 'repo', plain(repo.source), { description: plain(repo.branch ?? ''), tooltip: repo.path })]
      : []),
  ]
}

export const portRow = (box: Box, { port, public: open }: Box['published'][number]): Row => ({
  id: `${box.id}/port/${port}`,
  label: `port ${port}`,
  description: open ? 'public' : 'private',
  tooltip: open
    ? 'Programs of the machine of the daemon, and pages in its browsers, reach it.'
    : 'Its link holds a token, without which nobody is let in.',
  icon: open ? 'globe' : 'lock',
  context: 'port',
})

export function snapshotRow(snapshot: Snapshot, now: number): Row {
  const { id, name, boxName, kind, bytes, status, createdAt } = snapshot
  const age = `${coarse(now - Date.parse(createdAt))} ago`
  const room = bytes === null ? [] : [formatBytes(bytes)]
  return {
    id,
    label: name,
    description: [`of ${boxName}`, ...(status === 'ready' ? room : [status]), age].join(' · '),
    tooltip: `${kind} of a ${snapshot.shape}, image ${snapshot.image}`,
    icon: 'device-camera',
    context: status === 'ready' ? 'snapshot' : 'busy',
  }
}
