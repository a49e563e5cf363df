import type { BoxRecord } from '../box-record.ts'

type Ends = Pick<BoxRecord, 'onExpire' | 'onIdle' | 'pauseLost'>

/** What the end of the lease and of idle time do in a place. A pause that another place has made a stop is a pause again where one can be. */
export function leaseAt(
  { onExpire, onIdle, pauseLost = [] }: Ends,
  canPause: boolean,
): Required<Pick<Ends, 'pauseLost'>> & Ends {
  const ends = { onExpire, ...(onIdle === undefined ? {} : { onIdle }) }
  for (const one of pauseLost) ends[one] = 'pause'
  if (canPause) return { ...ends, pauseLost: [] }
  const lost = (['onExpire', 'onIdle'] as const).filter((one) => ends[one] === 'pause')
  for (const one of lost) ends[one] = 'stop'
  return { ...ends, pauseLost: lost }
}
