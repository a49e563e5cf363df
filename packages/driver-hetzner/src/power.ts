import { GibilError } from '@gibil/contract'
import type { DriverBox, DriverOptions, DriverSpec } from '@gibil/core'
import type { Kind } from './client/client.ts'
import { cloudCodeOf, isUnknown } from './client/failure.ts'
import type { ApiImage, ApiServer } from './client/schemas.ts'
import type { Context } from './context.ts'
import { imageIn } from './create.ts'
import { ensureFirewall, ensureSshKey } from './ensure.ts'
import { addressOf, findServer } from './find.ts'
import { cloudName, labelNames, ofBox } from './labels.ts'
import { alternatives, archOf, available, plan } from './plan.ts'
import { checkProject } from './project.ts'
import { untilReady } from './ready.ts'
import { removeBox } from './remove.ts'
import { makeServer } from './server.ts'
import { statusOf, toDriverBox } from './survey.ts'
import { userDataOf } from './user-data.ts'

/** Of a snapshot that a box was stopped to: the server type that it had. */
export const savedOnName = 'gibil/saved-on'

/**
 * Switches a stopped box on; one whose server was given back gets another, made of its snapshot. The snapshot goes once the box answers, and not before: until then it may
 * be all that there is of it.
 */
export async function start(context: Context, spec: DriverSpec, options: DriverOptions): Promise<DriverBox> {
  const { client, catalog, links, step } = context
  const { signal } = options
  const images = await imagesOf(context, spec.id)
  const image = images.findLast(({ status }) => status === 'available')
  const there = await findServer(context, spec.id, options)
  const server = there ?? (await revive(context, spec, image, options))
  await step('start.power')
  if (statusOf(server) === 'stopped') await client.actions.wait([await client.act(server.id, 'poweron')], signal)
  await step('start.ready')
  const link = await links.to(spec.id, addressOf(server), server.labels[labelNames.key])
  await untilReady(context, spec, link, options)
  await step('start.image')
  if (images.length > 0) await removeBox(context, spec.id, { kinds: ['images'] })
  const latest = await client.server(server.id, { signal })
  await step('start.end')
  return toDriverBox(spec.id, { servers: [latest], images: [] }, catalog, { signal })
}

async function revive(
  context: Context,
  spec: DriverSpec,
  image: ApiImage | undefined,
  options: DriverOptions,
): Promise<ApiServer> {
  if (image === undefined) return gone(context, spec.id)
  const { links, step, catalog } = context
  const { [savedOnName]: savedOn, ...labels } = image.labels
  const images = [{ id: image.id, arch: archOf(image.architecture), diskGb: image.disk_size, golden: false }]
  // The place need not be the same; the family has to be.
  const wish = { size: spec.size, cloud: withoutType(spec.cloud, savedOn), images, savedOn }
  const sold = await catalog.get(options)
  const instead = alternatives(wish, sold)
  const offers = available(plan(wish, sold), instead)
  const keys = links.forNew(spec.id)
  const { host, client: key } = keys
  await step('start.ssh-key')
  const sshKey = await ensureSshKey(context, spec.id, key.publicKey, labels)
  await step('start.firewall')
  const firewall = await ensureFirewall(context, spec.id, labels)
  await context.files.keep(spec.id, { privateKey: key.privateKey, hostKey: host.publicKey })
  links.drop(spec.id)
  const text = userDataOf(spec, keys)
  try {
    const server = { id: spec.id, labels, sshKey, firewall, userData: text, offers, instead, imageFor: imageIn(images) }
    return await makeServer(context, 'start', server, options)
  } catch (error) {
    await removeBox(context, spec.id, { kinds: ['servers', 'primary_ips'] }).catch((undo) =>
      context.log('warn', 'the remains of a failed start could not be removed', { box: spec.id, error: String(undo) }),
    )
    throw GibilError.from(error, options.signal?.aborted ? 'cancelled' : 'driver_failed')
  }
}

/** What a box has beside its server and snapshots. */
const rest = ['primary_ips', 'volumes', 'firewalls', 'ssh_keys'] as const satisfies Kind[]

/** Somebody has removed the server of a box, and so all that was on it: what it needed besides is of no use any more. */
async function gone(context: Context, id: string): Promise<never> {
  await checkProject(context, id)
  await removeBox(context, id, { kinds: rest, onlyOf: context.home })
  throw new GibilError('box_ended', `The server of box ${id} was removed at Hetzner Cloud, not by Gibil.`, {
    hint: 'What was on it is lost, and nothing of it is left there. Destroy the box.',
  })
}

/** A type that was asked for fits where the box was; another of the family is better than none. */
const withoutType = (cloud: DriverSpec['cloud'], savedOn: string | undefined): DriverSpec['cloud'] => {
  if (savedOn === undefined || cloud === undefined) return cloud
  const { serverType: _, location: __, ...rest } = cloud
  return rest
}

/**
 * Switches a box off; it stays, and is billed. With `snapshot` what is on its disk is saved and the server is given back: the snapshot is whole before the server goes, and
 * of earlier ones none is left. Fine when it is stopped.
 */
export async function stop(
  context: Context,
  id: string,
  graceMs: number,
  { snapshot = false }: { readonly snapshot?: boolean } = {},
): Promise<void> {
  const { client, links, step } = context
  const server = await findServer(context, id)
  if (server === undefined) return checkProject(context, id)
  await step('stop.power')
  await powerOff(context, server, graceMs)
  links.drop(id)
  if (!snapshot) return step('stop.end')
  await step('stop.image')
  const image = await save(context, server)
  await step('stop.server')
  await removeBox(context, id, { kinds: ['servers', 'primary_ips'] })
  for (const old of await imagesOf(context, id)) if (old.id !== image.id) await client.remove('images', old.id)
  await step('stop.end')
}

/** A signal for its processes first; `shutdown` has ended when that is sent, and not when the machine is off. */
export async function powerOff({ client, pace }: Context, { id, status }: ApiServer, graceMs: number): Promise<void> {
  if (status === 'off') return
  if (graceMs > 0) {
    await client.actions.wait([await client.act(id, 'shutdown')])
    // Below some seconds no machine with systemd is off.
    const until = pace.now() + Math.max(graceMs, 20_000)
    while (pace.now() < until) {
      if ((await client.server(id)).status === 'off') return
      await pace.sleep(2000)
    }
  }
  await client.actions.wait([await client.act(id, 'poweroff')])
}

async function save(context: Context, server: ApiServer): Promise<ApiImage> {
  const { client } = context
  const id = server.labels[labelNames.boxId] ?? ''
  const before = new Set((await imagesOf(context, id)).map((image) => image.id))
  const labels = { ...server.labels, [savedOnName]: server.server_type.name }
  let made: ApiImage
  try {
    const { image, action } = await client.createImage(server.id, { description: cloudName(id), labels })
    await client.actions.wait([action])
    made = image
  } catch (error) {
    // Whether it was begun is not known: what is new is it.
    if (!isUnknown(error) || cloudCodeOf(error) === 'not_found') throw error
    const found = (await imagesOf(context, id)).find((image) => !before.has(image.id))
    if (found === undefined) throw error
    made = found
  }
  return untilWhole(context, `box ${id}`, () => imagesOf(context, id), made.id)
}

/** A snapshot takes minutes: about one for each 10 GB that are in use (seen by others; there is no promise). */
const snapshotMs = 30 * 60_000

/** Waits until a snapshot can be used, one of those that `list` gives. Throws `cloud_failed`. */
export async function untilWhole(
  { pace }: Context,
  of: string,
  list: () => Promise<readonly ApiImage[]>,
  image: number,
): Promise<ApiImage> {
  const until = pace.now() + snapshotMs
  while (pace.now() < until) {
    const found = (await list()).find((one) => one.id === image)
    if (found?.status === 'available') return found
    if (found === undefined) break
    await pace.sleep(2000)
  }
  throw new GibilError('cloud_failed', `The snapshot of ${of} did not become whole.`)
}

const imagesOf = ({ client }: Context, id: string): Promise<readonly ApiImage[]> =>
  client.list('images', { type: 'snapshot', label_selector: ofBox(id) })
