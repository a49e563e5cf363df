import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { tracesOf } from './host-traces.ts'

/** All that boxes of one home are to this machine: their folders and logs, and what carries the home's own name. */
export async function footprintOf(home: string): Promise<string[]> {
  // Names of cgroups, namespaces and links hold these digits of the path, since a link's name is short.
  const mark = createHash('sha256').update(home).digest('hex').slice(0, 6)
  const [boxes, logs, traces] = await Promise.all([
    readdir(join(home, 'boxes')).catch(() => []),
    readdir(join(home, 'logs')).catch(() => []),
    tracesOf(mark),
  ])
  return [...boxes.map((id) => `box: ${id}`), ...logs.map((name) => `log: ${name}`), ...traces].toSorted()
}
