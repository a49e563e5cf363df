import {
  type AwakeReason,
  type Box,
  costInWords,
  formatBytes,
  formatDuration,
  formatMoney,
  leftOf,
  refOf,
  sizeInWords,
} from '@gibil/sdk'
import type { Cli } from '../context.ts'
import { formatMs } from './progress.ts'
import { clean, table } from './text.ts'

const mib = 1024 * 1024

/** `running`, or how far its set-up is while that says more. */
export function stateOf({ status, readiness, failure, unresponsiveSince }: Box): string {
  if (status !== 'running') return status
  if (unresponsiveSince !== null) return 'running (unresponsive)'
  if (readiness === 'ready') return 'running'
  return readiness === 'failed' ? `running (${failure?.step ?? 'set-up'} failed)` : `running (${readiness})`
}

export function timeLeft(box: Pick<Box, 'lease'>, now: number): string {
  const left = leftOf(box, now)
  if (left === undefined) return 'no end'
  return left > 0 ? formatDuration(left) : 'expired'
}

export function boxTable(boxes: readonly Box[], cli: Pick<Cli, 'colors'>, now = Date.now()): string {
  const billed = boxes.some(({ cost }) => cost !== null)
  const rows = boxes.map((box) => [
    refOf(box),
    stateOf(box),
    box.shape,
    box.image,
    `${box.size.cpu} cpu/${formatBytes(box.size.memoryMib * mib)}`,
    timeLeft(box, now),
    // Whoever has boxes of this machine alone is not asked to read what they do not cost.
    ...(billed ? [box.cost?.billed ? formatMoney(box.cost.hourly, box.cost.currency) : '-', soFar(box)] : []),
    box.fleet ?? '-',
    box.repo?.source ?? '-',
  ])
  const cost = billed ? ['PER HOUR', 'SO FAR'] : []
  return table(['NAME', 'STATE', 'SHAPE', 'IMAGE', 'SIZE', 'LEFT', ...cost, 'FLEET', 'REPO'], rows, cli.colors.dim)
}

const soFar = ({ cost }: Box): string => (cost === null ? '-' : formatMoney(cost.soFar, cost.currency))

const awakeReasons = {
  setup: 'its set-up runs',
  connection: 'a connection is open',
  command: 'a command runs',
  cpu: 'its processor is busy',
} as const satisfies Record<AwakeReason, string>

/** What keeps it from being idle, and for how long; else when its idle limit has passed. */
function awakeOf({ activity, awake, lease }: Box, now: number): string | undefined {
  if (awake === null) return undefined
  const { because, since, idleEndsAt } = awake
  if (because.length > 0) {
    const time = since === null ? '' : ` for ${formatDuration(Math.max(0, now - Date.parse(since)))}`
    const { commands, files, ports } = activity
    const open = Object.entries({ commands, files, ports }).filter(([, count]) => count > 0)
    const uses =
      open.length === 0 ? '' : ` (connections: ${open.map(([use, count]) => `${count} for ${use}`).join(', ')})`
    return `${because.map((reason) => awakeReasons[reason]).join(', ')}${time}${uses}`
  }
  if (idleEndsAt === null) return undefined
  return `idle; ${lease.onIdle} in ${formatDuration(Math.max(0, Date.parse(idleEndsAt) - now))}`
}

/** All about one box, a line for each thing. */
export function boxDetails(box: Box, cli: Pick<Cli, 'colors'>, now = Date.now()): string {
  const { lease, repo, failure } = box
  const facts: [string, string | undefined][] = [
    ['name', box.name],
    ['id', box.id],
    ['owner', box.owner ?? undefined],
    ['state', stateOf(box)],
    ['readiness', box.readiness],
    ['shape', `${box.shape} on ${box.provider}${box.isolation === 'namespaces' ? '' : `, in ${box.isolation}`}`],
    ['because', box.chosenBecause?.join('; ')],
    ['image', box.image],
    ['size', sizeInWords(box.size)],
    ['user', box.user],
    ['cloud', box.cloud ? `${box.cloud.serverType} (${box.cloud.arch}) in ${box.cloud.location}` : undefined],
    ['cost', costInWords(box)],
    ['volumes', box.volumes.map(({ volume, path }) => `${volume} at ${path}`).join(', ') || undefined],
    ['network', `${box.network}${box.address ? `, ${box.address}` : ''}`],
    ['allowed', box.egress.allow.join(', ') || undefined],
    ['denied', box.egress.deny.join(', ') || undefined],
    ['time left', `${timeLeft(box, now)}, then ${lease.onExpire}`],
    ['on failure', box.onFailure],
    ['no answer', box.unresponsiveSince === null ? undefined : `since ${box.unresponsiveSince}`],
    ['waits for', box.waitsFor ?? undefined],
    [
      'idle limit',
      lease.idleSeconds === null ? undefined : `${formatDuration(lease.idleSeconds * 1000)}, then ${lease.onIdle}`,
    ],
    ['awake', awakeOf(box, now)],
    ['repo', repo ? `${repo.source}${repo.branch ? ` (${repo.branch})` : ''} in ${repo.path}` : undefined],
    ['commit', repo?.commit],
    ['ports', box.ports.join(', ') || undefined],
    [
      'published',
      box.published.map(({ port, public: open }) => `${port}${open ? ' (public)' : ''}`).join(', ') || undefined,
    ],
    ['env', box.envNames.join(', ') || undefined],
    [
      'labels',
      Object.entries(box.labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(', ') || undefined,
    ],
    ['fleet', box.fleet ?? undefined],
    ['parent', box.parent ?? undefined],
    ['created', box.createdAt],
    ['failure', failure ? `${failure.message} (${failure.code})` : undefined],
    ['next', failure?.hint],
  ]
  const width = Math.max(...facts.map(([name]) => name.length))
  const lines = facts.flatMap(([name, value]) =>
    value === undefined ? [] : [`${cli.colors.dim(name.padEnd(width))}  ${clean(value)}`],
  )
  return `${lines.join('\n')}\n`
}

/** Where a create spent its time; a phase may hold others. */
export const traceTable = (box: Box): string =>
  table(
    ['PHASE', 'TIME'],
    box.timings.map(({ phase, ms }) => [phase, formatMs(ms)]),
  )
