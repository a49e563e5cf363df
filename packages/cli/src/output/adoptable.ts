import { type AdoptableBox, formatDuration } from '@gibil/sdk'
import type { Cli } from '../context.ts'
import { hourly } from './money.ts'
import { table } from './text.ts'

/** Boxes of other homes, and whose they are as far as they say. */
export function adoptableTable(boxes: readonly AdoptableBox[], cli: Pick<Cli, 'colors'>, now = Date.now()): string {
  const rows = boxes.map((box) => [
    box.name,
    box.id,
    box.reachable ? box.status : `${box.status} (no key: made with another token)`,
    box.cloud ? `${box.cloud.serverType} in ${box.cloud.location}` : 'a snapshot',
    box.cloud ? hourly(box.cloud.price) : '-',
    leftOf(box, now),
    box.host === null ? box.home : `${box.host} (${box.home})`,
  ])
  return table(['NAME', 'ID', 'STATE', 'MACHINE', 'PER HOUR', 'LEFT', 'HOME'], rows, cli.colors.dim)
}

function leftOf({ expiresAt }: AdoptableBox, now: number): string {
  if (expiresAt === null) return 'not told'
  const left = Date.parse(expiresAt) - now
  return left > 0 ? formatDuration(left) : 'over; needs --ttl'
}
