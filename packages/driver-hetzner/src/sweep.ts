import { GibilError } from '@gibil/contract'
import type { SweptBox } from '@gibil/core'
import type { Client } from './client/client.ts'
import type { Pace } from './client/pace.ts'
import { nameOf } from './found.ts'
import { labelNames, ofBox } from './labels.ts'
import { removeBox } from './remove.ts'
import { byBox, deadlineOfBox, look } from './survey.ts'

/**
 * Ends every box of the cloud project whose deadline label has passed, whoever made it: nothing is needed for it but the token. One that cannot be removed does not keep
 * the others. `now` is in ms since 1970; boxes of `keep` are passed over. Throws `cloud_unauthorized`, `cloud_unreachable` when the cloud cannot be asked.
 */
export async function sweepExpired(
  client: Client,
  now: number,
  pace: Pace,
  keep: ReadonlySet<string> = new Set(),
): Promise<readonly SweptBox[]> {
  const swept: SweptBox[] = []
  for (const [id, things] of byBox(await look(client, labelNames.boxId))) {
    const deadline = deadlineOfBox(things)
    if (keep.has(id) || !isOver(deadline, now)) continue
    const known = { id, name: nameOf(id, things), deadline }
    try {
      // It may have been extended since.
      const latest = deadlineOfBox(await look(client, ofBox(id)))
      if (!isOver(latest, now)) continue
      await removeBox({ client, pace }, id)
      swept.push(known)
    } catch (error) {
      swept.push({ ...known, failure: GibilError.from(error, 'cloud_failed') })
    }
  }
  return swept
}

const isOver = (deadline: number | null, now: number): deadline is number => deadline !== null && deadline * 1000 <= now
