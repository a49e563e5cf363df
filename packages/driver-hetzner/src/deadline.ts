import { moveDeadline } from '@gibil/cloud-init'
import { GibilError } from '@gibil/contract'
import type { Context, Link } from './context.ts'
import { addressOf, findServer } from './find.ts'
import { deadlineLabel, labelNames } from './labels.ts'
import { relabel } from './relabel.ts'
import { statusOf } from './survey.ts'

/**
 * Moves the end of a lease: first in the labels, by which others end the box, then in the box, which switches itself off by it. One that is off is told when it is
 * started. `deadline` is in seconds since 1970.
 */
export async function setDeadline(context: Context, id: string, deadline: number | null): Promise<void> {
  const { client, links } = context
  const server = await findServer(context, id)
  await relabel(client, id, { [labelNames.deadline]: undefined, ...deadlineLabel(deadline) })
  if (server === undefined || statusOf(server) !== 'running') return
  const link = await links.to(id, addressOf(server), server.labels[labelNames.key])
  await tellDeadline(link, deadline, AbortSignal.timeout(tellMs))
}

const tellMs = 30_000

/** Throws `driver_failed` when the box does not take it. */
export async function tellDeadline(link: Link, deadline: number | null, signal: AbortSignal): Promise<void> {
  const script = moveDeadline(deadline).replaceAll("'", `'\\''`)
  const status = await link.execLines(`sudo -n sh -c '${script}'`, () => undefined, signal)
  if (status === 0) return
  throw new GibilError('driver_failed', `The box did not take its new deadline (status ${status}).`, {
    hint: 'Extend it again; it switches itself off at the old one.',
  })
}
