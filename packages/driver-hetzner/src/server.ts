import { GibilError, hourlyOf } from '@gibil/contract'
import type { DriverOptions, Offer } from '@gibil/core'
import { cloudCodeOf, isUnknown } from './client/failure.ts'
import type { ApiAction, ApiServer } from './client/schemas.ts'
import type { Context } from './context.ts'
import { cloudName, type Labels, labelNames } from './labels.ts'
import { soldOut } from './plan.ts'
import { removeBox } from './remove.ts'
import type { StepName } from './steps.ts'

export interface ServerWish {
  readonly id: string
  readonly labels: Labels
  readonly sshKey: number
  readonly firewall: number
  readonly userData: string
  /** Tried in this order. */
  readonly offers: readonly Offer[]
  /** What could be had of those that were not asked for. */
  readonly instead: readonly Offer[]
  readonly imageFor: (offer: Offer) => number
}

interface Made {
  readonly server: ApiServer
  readonly actions: readonly ApiAction[]
}

/** How often it is looked for a server whose making got no answer, and how long between, in ms. */
const looks = [0, 2000, 4000, 8000]

/**
 * Makes the server of a box on the first offer that the cloud still has, and waits until it is switched on. Of a server that was made and could not be placed nothing is
 * left when the next one is tried. Throws `cloud_sold_out` when none could be had.
 */
export async function makeServer(
  context: Context,
  verb: 'create' | 'start',
  wish: ServerWish,
  options: DriverOptions,
): Promise<ApiServer> {
  const { client, step, log } = context
  const { id, offers } = wish
  let refused: unknown
  for (const offer of offers) {
    const { serverType, location, price } = offer
    try {
      options.signal?.throwIfAborted()
      await step(`${verb}.server`)
      options.onLine?.(`${serverType} in ${location}, ${hourlyOf(price)} ${price.currency} an hour with IPv4`)
      const made = await makeOnce(context, wish, offer)
      await step(`${verb}.addresses`)
      await labelAddresses(context, made.server, wish.labels)
      await step(`${verb}.actions` satisfies StepName)
      await client.actions.wait(made.actions, options.signal)
      return made.server
    } catch (error) {
      if (!GibilError.is(error) || error.code !== 'cloud_sold_out') throw error
      refused = error
      log('info', 'a server type is sold out', { box: id, serverType, location })
      options.onLine?.(`${serverType} in ${location} is sold out`)
      await removeBox(context, id, { kinds: ['servers', 'primary_ips'] })
    }
  }
  throw soldOut(offers, wish.instead, refused)
}

/** One attempt. When nobody knows what came of it, the name tells: no two servers of a project have the same, and no other box ever has this one. */
async function makeOnce(context: Context, wish: ServerWish, offer: Offer): Promise<Made> {
  const { client, log } = context
  const name = cloudName(wish.id)
  try {
    return await client.createServer({
      name,
      server_type: offer.serverType,
      location: offer.location,
      image: wish.imageFor(offer),
      ssh_keys: [wish.sshKey],
      firewalls: [{ firewall: wish.firewall }],
      user_data: wish.userData,
      labels: wish.labels,
      public_net: { enable_ipv4: true, enable_ipv6: true },
    })
  } catch (error) {
    if (!isUnknown(error) && cloudCodeOf(error) !== 'uniqueness_error') throw error
    log('warn', 'it is not known whether a server was made: looking for it', {
      box: wish.id,
      error: String(error),
    })
    const server = await lookFor(context, name)
    if (server === undefined) throw error
    if (server.labels[labelNames.boxId] === wish.id) return { server, actions: [] }
    throw new GibilError('cloud_failed', `There is a server ${name} in the project that is no box of Gibil any more.`, {
      hint: 'Rename or remove it in the console.',
      cause: error,
    })
  }
}

async function lookFor({ client, pace }: Context, name: string): Promise<ApiServer | undefined> {
  for (const waitMs of looks) {
    await pace.sleep(waitMs)
    const [server] = await client.list('servers', { name })
    if (server !== undefined) return server
  }
  return undefined
}

/** The addresses of a server do not get its labels, and would be found by nobody once it is gone. */
async function labelAddresses({ client }: Context, server: ApiServer, labels: Labels): Promise<void> {
  const { ipv4, ipv6 } = server.public_net
  for (const id of [ipv4?.id, ipv6?.id]) {
    if (id) await client.label('primary_ips', id, labels)
  }
}
