import type { Owner } from '../box-record.ts'
import type { Store } from '../ports/store.ts'

/** The end of a box that is gone. */
export interface Ended {
  readonly name: string
  readonly at: string
  /** Its lease was over. */
  readonly expired: boolean
}

/** What is looked at: reading all events that are kept would take long for a name that was misspelt. */
const recent = 1000

export async function endOf(
  store: Pick<Store, 'lastEventSeq' | 'listEvents'>,
  ref: string,
  owner: Owner,
): Promise<Ended | undefined> {
  const events = await store.listEvents(Math.max(0, (await store.lastEventSeq()) - recent), recent)
  const end = events.findLast(({ type, boxId, boxName, owner: whose }) => {
    const meant = whose === owner ? boxName === ref || boxId === ref : owner === null && boxId === ref
    return type === 'box.destroyed' && meant
  })
  if (!end) return undefined
  const expired = events.some(({ type, boxId }) => type === 'box.expired' && boxId === end.boxId)
  return { name: end.boxName ?? ref, at: end.at, expired }
}
