import { GibilError } from '@gibil/contract'
import { withCloud } from '../box/charges.ts'
import type { BoxRecord } from '../box-record.ts'
import type { Context } from './context.ts'

/** The step of the reconciler. The box is ours once its driver says so; what it has cost since its machine was made is counted with us. */
export async function adoptStep({ boxes, deps, drivers, events }: Context, record: BoxRecord): Promise<void> {
  const driver = drivers.for(record)
  if (!driver.adopt) {
    throw new GibilError('unsupported_by_shape', `A box of ${record.provider} cannot be adopted.`)
  }
  const { status, address, cloud } = await driver.adopt(record.id)
  const now = deps.clock.now()
  const state =
    status === 'running'
      ? ({ status, desired: status, startedAt: now, lastActiveAt: now } as const)
      : ({ status: 'stopped', desired: 'stopped' } as const)
  const after = await boxes.update(record.id, (latest) =>
    latest.desired === 'gone'
      ? { adopting: false }
      : { adopting: false, failure: null, address, ...state, ...withCloud(latest, cloud, now) },
  )
  if (after) await events.append('box.adopted', after, {})
}
