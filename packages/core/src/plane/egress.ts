import { type Box, type Egress, GibilError, type NetworkPolicy } from '@gibil/contract'
import { allow } from '../box/lifecycle.ts'
import type { BoxRecord } from '../box-record.ts'
import type { Driver } from '../ports/driver.ts'
import type { Context } from './context.ts'
import { viewOf } from './view-of.ts'

/** Throws `unsupported_by_shape` where addresses cannot be told apart, `invalid_request` for what a box without a network cannot reach. */
export function checkEgress(egress: Egress, network: NetworkPolicy, driver: Driver): void {
  if (egress.allow.length === 0 && egress.deny.length === 0) return
  if (!driver.setEgress) {
    throw new GibilError(
      'unsupported_by_shape',
      `Boxes at ${driver.provider} cannot be kept from addresses: Gibil has no firewall there.`,
      { hint: 'Leave --allow and --deny out, or use a box on this machine.' },
    )
  }
  if (network === 'none' && egress.allow.length > 0) {
    throw new GibilError('invalid_request', 'A box without a network reaches no address, whatever is allowed.', {
      hint: 'Deny everything but what it may reach: --deny 0.0.0.0/0 --allow <address>, without --network none.',
    })
  }
}

/** Throws `box_not_found`, `wrong_state`, `unsupported_by_shape`, `invalid_request`. */
export type SetEgress = (ref: string, egress: Egress) => Promise<Box>

/** Written down first and then brought about, also after a crash; a box that does not run has it when it starts. */
export const createSetEgress =
  (context: Context, converge: (id: string) => Promise<void>): SetEgress =>
  async (ref, egress) => {
    const { boxes, drivers } = context
    const { id } = await boxes.find(ref)
    const after = await boxes.update(id, (latest) => {
      allow('extend', latest)
      checkEgress(egress, latest.network, drivers.for(latest))
      return { egress, egressBehind: true }
    })
    if (!after) throw new GibilError('box_not_found', `The box "${ref.slice(0, 80)}" is gone.`)
    await converge(id)
    return viewOf(context, await boxes.find(id))
  }

/** Tells the driver of a box that is there. What was asked for meanwhile is for the next step. */
export async function egressStep({ boxes, drivers }: Context, record: BoxRecord): Promise<void> {
  const { id, egress } = record
  if (egress) await drivers.for(record).setEgress?.(id, egress)
  const same = (one: Egress | undefined): boolean => JSON.stringify(one) === JSON.stringify(egress)
  await boxes.update(id, (latest) => (same(latest.egress) ? { egressBehind: false } : undefined))
}
