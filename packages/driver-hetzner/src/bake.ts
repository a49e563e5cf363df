import { createHash } from 'node:crypto'
import { type CloudWish, GibilError, type Size } from '@gibil/contract'
import type { DriverOptions } from '@gibil/core'
import type { ApiImage } from './client/schemas.ts'
import type { Context } from './context.ts'
import { imageIn } from './create.ts'
import { ensureFirewall, ensureSshKey } from './ensure.ts'
import { findImages } from './images.ts'
import { deadlineLabel, labelNames, labelValue } from './labels.ts'
import { archOf, available, plan } from './plan.ts'
import { untilWhole } from './power.ts'
import { removeBox } from './remove.ts'
import { makeServer } from './server.ts'

export interface Bake {
  /** The name by which boxes ask for it. */
  readonly name: string
  /** A script for sh, run as root on the cloud's own system, that installs what is in the image. */
  readonly script: string
  /** What it is installed on. The image fits machines with a disk as large, and larger ones: so a small one is best. */
  readonly size: Size
  readonly cloud?: CloudWish | undefined
}

/** So long may an installation take. Nobody ends the machine sooner; the sweep does after twice the time, if this process is gone. */
const bakeMs = 30 * 60_000

/**
 * Makes a snapshot of which boxes begin, so that they install nothing: a machine of its own installs, switches itself off, is saved and goes. One that was baked of the same
 * script is kept, and those of other scripts are removed once the new one is whole. A failure leaves nothing. Returns the id of the snapshot.
 * Throws `image_build_failed` when the script fails, which shows in the machine staying on.
 */
export async function bake(context: Context, wish: Bake, options: DriverOptions): Promise<number> {
  const { client, links, pace } = context
  const { name, script, size, cloud } = wish
  const recipe = createHash('sha256').update(script).digest('hex').slice(0, 32)
  const images = await findImages(client, 'vm', { signal: options.signal })
  const offers = available(plan({ size, cloud, images }, await context.catalog.get({ signal: options.signal })))
  const arch = offers[0]?.arch
  const before = (await client.list('images', { label_selector: `${labelNames.golden}=${labelValue(name)}` })).filter(
    (image) => archOf(image.architecture) === arch,
  )
  const same = before.find(({ status, labels }) => status === 'available' && labels[labelNames.recipe] === recipe)
  if (same !== undefined) return same.id
  // As a box of no home, so that whoever sweeps ends it, and no daemon takes it for remains of its own.
  const id = `bake-${recipe.slice(0, 16)}-${arch}`
  const deadline = Math.floor((pace.now() + 2 * bakeMs) / 1000)
  const labels = { [labelNames.boxId]: id, [labelNames.name]: labelValue(`bake-${name}`), ...deadlineLabel(deadline) }
  try {
    const sshKey = await ensureSshKey(context, id, links.forNew(id).client.publicKey, labels)
    const firewall = await ensureFirewall(context, id, labels)
    const server = await makeServer(
      context,
      'create',
      { id, labels, sshKey, firewall, userData: userDataOf(script), offers, imageFor: imageIn(images) },
      options,
    )
    await untilOff(context, server.id, name, options)
    const marks = { [labelNames.golden]: labelValue(name), [labelNames.recipe]: recipe }
    const made = await client.createImage(server.id, { description: `gibil ${name}`, labels: marks })
    await client.actions.wait([made.action], options.signal)
    const selector = `${labelNames.golden}=${labelValue(name)}`
    const image = await untilWhole(
      context,
      name,
      () => client.list('images', { label_selector: selector }),
      made.image.id,
    )
    await removeImages(context, before)
    return image.id
  } catch (error) {
    const selector = `${labelNames.golden}=${labelValue(name)},${labelNames.recipe}=${recipe}`
    await removeImages(context, await client.list('images', { label_selector: selector }).catch(() => []))
    throw GibilError.from(error, options.signal?.aborted ? 'cancelled' : 'driver_failed')
  } finally {
    await removeBox(context, id)
  }
}

/** The machine switches itself off when all has succeeded; the identity that it had goes before. */
const userDataOf = (script: string): string => `#!/bin/sh
set -eu
(
${script}
)
cloud-init clean --logs
truncate -s 0 /etc/machine-id
poweroff
`

async function untilOff(
  { client, pace }: Context,
  server: number,
  name: string,
  { signal }: DriverOptions,
): Promise<void> {
  const until = pace.now() + bakeMs
  while (pace.now() < until) {
    if ((await client.server(server, { signal })).status === 'off') return
    await pace.sleep(5000, signal)
  }
  throw new GibilError(
    'image_build_failed',
    `The image "${name}" was not installed within ${bakeMs / 60_000} minutes.`,
    {
      hint: 'Try its script on a box: the machine switches itself off when all of it has succeeded.',
    },
  )
}

async function removeImages({ client }: Context, images: readonly ApiImage[]): Promise<void> {
  for (const { id } of images) await client.remove('images', id)
}
