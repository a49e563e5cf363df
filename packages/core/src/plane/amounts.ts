import type { Amounts } from '@gibil/contract'
import type { Owner } from '../box-record.ts'
import type { ControlPlaneDeps } from './deps.ts'

/** What an owner takes: his boxes with their whole size, and the disk of his volumes. */
export async function amountsOf(
  { store, volumes }: Pick<ControlPlaneDeps, 'store' | 'volumes'>,
  owner: Owner,
): Promise<Amounts> {
  const [boxes, kept] = await Promise.all([store.amounts(owner), volumes.list()])
  const held = kept.filter((one) => one.owner === owner).reduce((total, { sizeMib }) => total + sizeMib, 0)
  return { ...boxes, diskMib: boxes.diskMib + held }
}
