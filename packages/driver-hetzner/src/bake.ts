import { createHash } from 'node:crypto'
import { usualPackages } from '@gibil/cloud-init'
import { GibilError } from '@gibil/contract'
import type { BakedImage, BakeWish, DriverOptions } from '@gibil/core'
import { bakedImages } from './baked.ts'
import type { ApiImage, ApiServer } from './client/schemas.ts'
import type { Context } from './context.ts'
import { imageIn } from './create.ts'
import { ensureFirewall, ensureSshKey } from './ensure.ts'
import { addressOf } from './find.ts'
import { systemImages } from './images.ts'
import { deadlineLabel, labelNames, labelValue } from './labels.ts'
import { alternatives, archOf, available, plan } from './plan.ts'
import { powerOff, untilWhole } from './power.ts'
import { untilSetUp } from './ready.ts'
import { removeBox } from './remove.ts'
import { makeServer } from './server.ts'
import { userDataOf } from './user-data.ts'

/** So long may an installation take, and what comes after it. Whoever sweeps ends the machine then, if this process is gone. */
const bakeMs = 60 * 60_000
const setUpMs = 30 * 60_000

/**
 * Makes a snapshot of which boxes begin, so that they install nothing: a machine of its own is set up as a box would be, switched off, saved and removed. One that was baked of the same
 * text is kept, and those of other texts are removed once the new one is whole. A failure leaves nothing but what was there before.
 * Throws `driver_failed` with the log when its set-up fails, `timeout`, `invalid_user_data`, and as a create.
 */
export async function bake(context: Context, wish: BakeWish, options: DriverOptions): Promise<BakedImage> {
  const { client, catalog, links, pace } = context
  const { name, cloudInit, size, cloud } = wish
  const recipe = createHash('sha256')
    .update(JSON.stringify([cloudInit, usualPackages]))
    .digest('hex')
    .slice(0, 32)
  const images = await systemImages(client, 'vm', { signal: options.signal })
  const sold = await catalog.get({ signal: options.signal })
  const instead = alternatives({ size, cloud, images }, sold)
  const offers = available(plan({ size, cloud, images }, sold), instead)
  const arch = offers[0]?.arch
  const selector = `${labelNames.golden}=${labelValue(name)}`
  const before = (await client.list('images', { label_selector: selector })).filter(
    (image) => archOf(image.architecture) === arch,
  )
  const same = before.find(({ status, labels }) => status === 'available' && labels[labelNames.recipe] === recipe)
  if (same !== undefined) return bakedOf(context, same.id, options)
  // As a box of no home, so that whoever sweeps ends it, and no daemon takes it for remains of its own.
  const id = `bake-${recipe.slice(0, 16)}-${arch}`
  const deadline = Math.floor((pace.now() + bakeMs) / 1000)
  const labels = { [labelNames.boxId]: id, [labelNames.name]: labelValue(`bake-${name}`), ...deadlineLabel(deadline) }
  const keys = links.forNew(id)
  try {
    const userData = userDataOf({ hostname: 'bake', deadline, cloudInit }, keys)
    const sshKey = await ensureSshKey(context, id, keys.client.publicKey, labels)
    const firewall = await ensureFirewall(context, id, labels)
    const server = await makeServer(
      context,
      'create',
      { id, labels, sshKey, firewall, userData, offers, instead, imageFor: imageIn(images) },
      options,
    )
    await setUp(context, id, server, deadline, options)
    await powerOff(context, server, 20_000)
    options.onLine?.('saving it as a snapshot, which takes about a minute for each 10 GB')
    const marks = { [labelNames.golden]: labelValue(name), [labelNames.recipe]: recipe }
    const made = await client.createImage(server.id, { description: `gibil ${name}`, labels: marks })
    await client.actions.wait([made.action], options.signal)
    const image = await untilWhole(
      context,
      name,
      () => client.list('images', { label_selector: selector }),
      made.image.id,
    )
    await removeImages(context, before)
    return await bakedOf(context, image.id, options)
  } catch (error) {
    const unfinished = await client
      .list('images', { label_selector: `${selector},${labelNames.recipe}=${recipe}` })
      .catch(() => [])
    await removeImages(context, unfinished)
    throw GibilError.from(error, options.signal?.aborted ? 'cancelled' : 'driver_failed')
  } finally {
    links.drop(id)
    await removeBox(context, id)
    await context.files.forget(id)
  }
}

/** What makes the machine itself is taken out of it at the end: who it is, who may log in, and the memory of cloud-init. */
const farewell = `sudo -n sh -c 'cloud-init clean --logs; truncate -s 0 /etc/machine-id; rm -rf /etc/ssh/ssh_host_* /etc/gibil /home/agent/.ssh /root/.ssh; sync'`

async function setUp(
  context: Context,
  id: string,
  server: ApiServer,
  deadline: number,
  options: DriverOptions,
): Promise<void> {
  const link = await context.links.to(id, addressOf(server), undefined)
  await untilSetUp(context, { id, deadline, limitMs: setUpMs }, link, options)
  const status = await link.execLines(farewell, () => undefined, options.signal)
  if (status !== 0) throw new GibilError('driver_failed', `The machine could not be cleaned (status ${status}).`)
}

async function bakedOf(context: Context, id: number, { signal }: DriverOptions): Promise<BakedImage> {
  const image = (await bakedImages(context, { signal })).find((one) => one.id === String(id))
  if (image !== undefined) return image
  throw new GibilError('cloud_failed', `The snapshot ${id} is gone again.`)
}

async function removeImages({ client }: Context, images: readonly ApiImage[]): Promise<void> {
  for (const { id } of images) await client.remove('images', id)
}
