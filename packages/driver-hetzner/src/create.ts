import { createHash } from 'node:crypto'
import { GibilError } from '@gibil/contract'
import type { DriverBox, DriverOptions, DriverSpec } from '@gibil/core'
import type { ApiServer } from './client/schemas.ts'
import type { Context } from './context.ts'
import { ensureFirewall, ensureSshKey } from './ensure.ts'
import { addressOf, findServer } from './find.ts'
import { type CloudImage, findImages } from './images.ts'
import { keyMark } from './keys.ts'
import { type Labels, labelNames, labelsOf } from './labels.ts'
import { alternatives, available, plan } from './plan.ts'
import { untilReady } from './ready.ts'
import { removeBox } from './remove.ts'
import { makeServer } from './server.ts'
import { statusOf, toDriverBox } from './survey.ts'
import { userDataOf } from './user-data.ts'

/** Makes the box of a spec and waits until boxd answers in it. A failure at any point, and a cancel, leaves nothing of it at the cloud. */
export async function create(context: Context, spec: DriverSpec, options: DriverOptions): Promise<DriverBox> {
  checkNetwork(spec)
  const { client, catalog, files, links, log } = context
  const { signal } = options
  const there = await findServer(context, spec.id, options)
  if (there !== undefined && (isSame(there, spec) ? statusOf(there) !== 'running' : true)) {
    await removeBox(context, spec.id)
  }
  const kept = there !== undefined && isSame(there, spec) && statusOf(there) === 'running' ? there : undefined
  try {
    const server = kept ?? (await forge(context, spec, options))
    await context.step('create.ready')
    const link = await links.to(spec.id, addressOf(server), server.labels[labelNames.key])
    await untilReady(context, spec, link, options)
    const latest = await client.server(server.id, { signal })
    await context.step('create.end')
    return await toDriverBox(spec.id, { servers: [latest], images: [] }, catalog, { signal })
  } catch (error) {
    links.drop(spec.id)
    try {
      await removeBox(context, spec.id)
      await files.forget(spec.id)
    } catch (undo) {
      log('warn', 'the remains of a failed create could not be removed', { box: spec.id, error: String(undo) })
    }
    throw GibilError.from(error, signal?.aborted ? 'cancelled' : 'driver_failed')
  }
}

async function forge(context: Context, spec: DriverSpec, options: DriverOptions): Promise<ApiServer> {
  const { client, links, pace, step, home, host: machine } = context
  const { signal } = options
  const begun = performance.now()
  const images = await findImages(client, spec.image.name, { signal })
  const sold = await context.catalog.get({ signal })
  const wanted = { size: spec.size, cloud: spec.cloud, images }
  const instead = alternatives(wanted, sold)
  const offers = available(plan(wanted, sold), instead)
  options.trace?.('plan', performance.now() - begun)
  const keys = links.forNew(spec.id)
  const { host, client: key } = keys
  const text = userDataOf(spec, keys)
  if (isOpenToAll(context.sshFrom)) options.onNotice?.(openToAll)
  await step('create.keys')
  await context.files.keep(spec.id, { privateKey: key.privateKey, hostKey: host.publicKey })
  const marks = { home, host: machine, key: keyMark(key.publicKey), createdAt: pace.now() }
  const labels = { ...labelsOf(spec, marks), ...specLabel(spec) }
  await step('create.ssh-key')
  const sshKey = await ensureSshKey(context, spec.id, key.publicKey, labels)
  await step('create.firewall')
  const firewall = await ensureFirewall(context, spec.id, labels)
  const making = performance.now()
  const wish = { id: spec.id, labels, sshKey, firewall, userData: text, offers, instead, imageFor: imageIn(images) }
  const server = await makeServer(context, 'create', wish, options)
  options.trace?.('server', performance.now() - making)
  return server
}

const isOpenToAll = (networks: readonly string[]): boolean => networks.some((network) => network.endsWith('/0'))
const openToAll =
  'its SSH is open to every address, for the key of the box alone; to narrow it, start the daemon with GIBIL_SSH_FROM, such as GIBIL_SSH_FROM=203.0.113.7/32'

export const imageIn =
  (images: readonly CloudImage[]) =>
  ({ arch }: { readonly arch: string }): number => {
    const image = images.find((one) => one.arch === arch)
    if (image === undefined) throw new GibilError('internal', `There is no image for ${arch}.`)
    return image.id
  }

/** What must be the same for a server to be the box of a spec. */
const specName = 'gibil/spec'

function specLabel({ hostname, image, size, cloud, cloudInit }: DriverSpec): Labels {
  const text = JSON.stringify([
    hostname,
    image.name,
    size.cpu,
    size.memoryMib,
    size.diskMib,
    cloud ?? {},
    cloudInit ?? '',
  ])
  return { [specName]: createHash('sha256').update(text).digest('hex').slice(0, 16) }
}

const isSame = ({ labels }: ApiServer, spec: DriverSpec): boolean => labels[specName] === specLabel(spec)[specName]

function checkNetwork({ id, network }: DriverSpec): void {
  if (network !== 'none') return
  throw new GibilError('unsupported_by_shape', `Box ${id} cannot be cut off from the network at Hetzner Cloud.`, {
    hint: 'Use --network internet, or a box on this machine.',
  })
}
