import { GibilError } from '@gibil/contract'
import { failureLogLength, toFailure } from '../box/failure.ts'
import type { BoxRecord } from '../box-record.ts'
import type { SelfEnding } from '../ports/driver.ts'
import type { Context } from './context.ts'

/** What becomes of boxes that end though nobody asked. */
export interface Endings {
  /** What the box's `onFailure` says of an end, once its record says that it is stopped. */
  ended(before: BoxRecord, end: End): Promise<void>
  /** It stays as it is, with this as its failure. */
  giveUp(id: string, error: GibilError): Promise<void>
}

interface End {
  readonly reason: string
  /** False when it ended with the host, which is no failure of the box. */
  readonly itsOwn: boolean
  readonly asked?: SelfEnding | undefined
  readonly console?: string | undefined
}

/** A box that ran for so long and then ended is restarted without a wait. */
const steadyMs = 60_000

/** `poke`: brings a box to what its record wants, in the background. */
export function createEndings(context: Context, poke: (id: string) => void): Endings {
  const { boxes, backoff, deps, policy } = context

  const failureOf = ({ name }: BoxRecord, what: string, { console }: End): GibilError =>
    new GibilError('box_ended', `The box "${name}" ${what}.`, {
      hint: `Start it again with \`gibil restart ${name}\`, or destroy it.`,
      details: console ? { log: console.slice(-failureLogLength) } : {},
    })

  const giveUp = async (id: string, error: GibilError): Promise<void> => {
    backoff.clear(id)
    await boxes.update(id, ({ desired }) =>
      desired === 'gone' ? undefined : { status: 'failed', desired: 'stopped', failure: toFailure(error) },
    )
  }

  /** A box that ends again and again: each restart waits longer, and at last it stays as it is. */
  const again = async (before: BoxRecord, end: End): Promise<void> => {
    const { id, startedAt } = before
    if (startedAt === null || deps.clock.now() - startedAt >= steadyMs) return backoff.clear(id)
    const count = backoff.failed(id, () => poke(id))
    if (count < policy.startAttempts) return
    await giveUp(id, failureOf(before, `ended ${count} times soon after its start: ${end.reason}`, end))
  }

  return {
    giveUp,
    async ended(before, end) {
      const { id, onFailure = 'restart' } = before
      // Neither is a failure: the one is a stop, the other a restart, whatever is to be done about failures.
      if (end.asked === 'power-off') {
        backoff.clear(id)
        await boxes.update(id, ({ desired }) => (desired === 'gone' ? undefined : { desired: 'stopped' }))
        return
      }
      if (end.asked === 'reboot') return again(before, end)
      if (onFailure === 'restart' || !end.itsOwn) return again(before, end)
      const error = failureOf(before, `ended by itself: ${end.reason}`, end)
      if (onFailure === 'stop') return giveUp(id, error)
      await boxes.update(id, () => ({ desired: 'gone', status: 'destroying', failure: toFailure(error) }))
    },
  }
}
