import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { tracesOf } from './host-traces.ts'

/** Six digits of its path that the names of a home's cgroups, namespaces, links and directories hold. */
const markOf = (home: string): string => createHash('sha256').update(home).digest('hex').slice(0, 6)

/** Where a home keeps what ends with the uptime of the host. */
export const runDirOf = (home: string): string => `/run/gibil-${markOf(home)}`

/** All that boxes of one home are to this machine: their folders and logs, and what carries the home's own name. */
export async function footprintOf(home: string): Promise<string[]> {
  const [boxes, logs, traces] = await Promise.all([
    readdir(join(home, 'boxes')).catch(() => []),
    readdir(join(home, 'logs')).catch(() => []),
    tracesOf(markOf(home)),
  ])
  return [...boxes.map((id) => `box: ${id}`), ...logs.map((name) => `log: ${name}`), ...traces].toSorted()
}
