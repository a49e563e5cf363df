import { isBoxId } from '../box/ids.ts'
import type { BoxRecord, Owner } from '../box-record.ts'
import type { Store } from '../ports/store.ts'

/**
 * The box that a caller means. A name alone is one of his own boxes; the administrator names another's as `<name>@<owner>`.
 * What is not his is to a caller as if it were not there.
 */
export async function boxMeantBy(
  ref: string,
  caller: Owner,
  store: Pick<Store, 'getBox' | 'findBoxByName'>,
): Promise<BoxRecord | undefined> {
  const byId = isBoxId(ref) ? await store.getBox(ref) : undefined
  const at = ref.indexOf('@')
  const owner = at === -1 ? caller : ref.slice(at + 1)
  const record = byId ?? (await store.findBoxByName(at === -1 ? ref : ref.slice(0, at), owner))
  return caller === null || record?.owner === caller ? record : undefined
}
