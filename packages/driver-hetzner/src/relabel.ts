import { GibilError } from '@gibil/contract'
import type { Client } from './client/client.ts'
import { type Labels, ofBox } from './labels.ts'
import { kindsOfThings, look } from './survey.ts'

/**
 * Changes labels of all things of a box; the API replaces them whole, so each is read, merged and written. A label that is undefined goes. Those that only a person gave stay.
 * Throws `box_not_found`.
 */
export async function relabel(
  client: Client,
  id: string,
  changes: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const things = await look(client, ofBox(id))
  // What decides over the box (its server, or snapshot) is written last: when this is cut off it is asked for again.
  const kinds = kindsOfThings.toReversed()
  let found = false
  for (const kind of kinds) {
    for (const { id: thing, labels = {} } of things[kind]) {
      found = true
      const merged = merge(labels, changes)
      if (!isEqual(labels, merged)) await client.label(kind, thing, merged)
    }
  }
  if (!found) throw new GibilError('box_not_found', `Hetzner Cloud has nothing of box ${id}.`)
}

function merge(labels: Labels, changes: Readonly<Record<string, string | undefined>>): Labels {
  const merged = Object.entries({ ...labels, ...changes })
  return Object.fromEntries(merged.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
}

const isEqual = (a: Labels, b: Labels): boolean =>
  Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([name, value]) => b[name] === value)
