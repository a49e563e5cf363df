import { type Charge, type CostReport, costBetween, costOf, hourlyOf, sumOf } from '@gibil/contract'
import { dayOf } from '../box/budget.ts'
import type { BoxRecord, Owner } from '../box-record.ts'
import type { BilledBox, Store } from '../ports/store.ts'

/** All that was billed of one box. */
export interface Bill {
  readonly box: BilledBox
  readonly exists: boolean
  readonly charges: readonly Charge[]
}

const dayMs = 86_400_000
const daysShown = 31

/** Of one owner, or of all when undefined. */
export async function readBills(store: Store, owner?: Owner): Promise<Bill[]> {
  const records = await store.listBoxes(owner === undefined ? {} : { owner })
  const live = records.flatMap(({ id, name, owner: whose, charges }: BoxRecord): Bill[] =>
    charges?.length ? [{ box: { id, name, owner: whose }, exists: true, charges }] : [],
  )
  const known = new Set(live.map(({ box }) => box.id))
  const gone = new Map<string, { box: BilledBox; charges: Charge[] }>()
  for (const { box, charge } of await store.listCharges()) {
    // One that could not be removed to the end is among the others still.
    if (known.has(box.id) || (owner !== undefined && box.owner !== owner)) continue
    const bill = gone.get(box.id) ?? { box, charges: [] }
    bill.charges.push(charge)
    gone.set(box.id, bill)
  }
  return [...[...gone.values()].map((bill) => ({ ...bill, exists: false })), ...live]
}

/** What the hours of bills cost that begin in `[from, to)`. */
const costIn = (bills: readonly Bill[], from: number, to: number): string =>
  sumOf(bills.flatMap(({ charges }) => charges.map((charge) => costBetween(charge, from, to))))

/** Sums by box and by day, for each currency. */
export function costReport(all: readonly Bill[], now: number): Pick<CostReport, 'currencies'> {
  const of = new Map<string, Bill[]>()
  for (const bill of all) {
    const currency = bill.charges[0]?.price.currency ?? ''
    of.set(currency, [...(of.get(currency) ?? []), bill])
  }
  return { currencies: [...of].map(([currency, bills]) => sheet(currency, bills, now)) }
}

function sheet(currency: string, bills: readonly Bill[], now: number): CostReport['currencies'][number] {
  const boxes = bills.map(({ box, exists, charges }) => {
    const last = charges.at(-1)
    return {
      ...box,
      exists,
      currency,
      hourly: last ? hourlyOf(last.price) : '0.00',
      soFar: sumOf(charges.map((charge) => costOf(charge, now))),
      billed: last?.to === null,
    }
  })
  const first = Math.min(...bills.flatMap(({ charges }) => charges.map(({ from }) => from)))
  const days: { day: string; amount: string }[] = []
  for (let at = dayOf(now); at >= dayOf(first) && days.length < daysShown; at -= dayMs) {
    days.push({
      day: new Date(at).toISOString().slice(0, 10),
      amount: costIn(bills, at, Math.min(at + dayMs, now + 1)),
    })
  }
  return {
    currency,
    hourly: sumOf(boxes.filter(({ billed }) => billed).map(({ hourly }) => hourly)),
    today: days[0]?.amount ?? '0.00',
    total: sumOf(boxes.map(({ soFar }) => soFar)),
    boxes,
    days,
  }
}
