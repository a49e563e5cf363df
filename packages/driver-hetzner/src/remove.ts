import { GibilError } from '@gibil/contract'
import type { Client, Kind } from './client/client.ts'
import { cloudCodeOf, isNotFound } from './client/failure.ts'
import type { Pace } from './client/pace.ts'
import { ofBox } from './labels.ts'
import { describeThings, homeOf, isNothing, kindsOfThings, look, type Things } from './survey.ts'

export interface RemoveOptions {
  /** How long things may take to go, in ms; 4 minutes if absent. */
  readonly patienceMs?: number
  /** What goes; a box with all that it has if absent. */
  readonly kinds?: readonly Kind[]
  /** Leaves a box alone that another home than this has adopted. */
  readonly onlyOf?: string
}

/** What only a person can change. */
const hopeless = ['cloud_unauthorized']

/**
 * Removes what carries the id of a box, and looks again until there is nothing: so a call whose answer was lost, a thing that is still in use and an
 * address that goes later than its server are all the same case. Fine when there is nothing.
 * Throws what the cloud said last when something stays: `cloud_unauthorized`, `cloud_failed`, `cloud_unreachable`.
 */
export async function removeBox(
  { client, pace }: { readonly client: Client; readonly pace: Pace },
  id: string,
  { patienceMs = 240_000, kinds = kindsOfThings, onlyOf }: RemoveOptions = {},
): Promise<void> {
  const until = pace.now() + patienceMs
  const addresses = new Map<number, string>()
  for (let waitMs = 500; ; waitMs = Math.min(waitMs * 2, 8000)) {
    const all = await lookWithAddresses(client, id, addresses, kinds)
    const things = pick(all, kinds)
    if (isNothing(things) || (onlyOf !== undefined && (homeOf(all) ?? onlyOf) !== onlyOf)) return
    const failure = await removeThings(client, things)
    if (failure !== undefined && (hopeless.includes(failure.code) || cloudCodeOf(failure) === 'protected'))
      throw failure
    if (pace.now() + waitMs > until) {
      const left = describeThings(things)
      const code = failure?.code ?? 'cloud_failed'
      throw new GibilError(code, `Of box ${id} there is still something at Hetzner Cloud: ${left}.`, {
        cause: failure,
        hint: 'Destroy it again, or remove it in the console: it is billed.',
      })
    }
    await pace.sleep(waitMs)
  }
}

/** The addresses that came with a server have no labels unless we gave them some: they are known by the server, before it goes. */
async function lookWithAddresses(
  client: Client,
  id: string,
  addresses: Map<number, string>,
  kinds: readonly Kind[],
): Promise<Things> {
  const things = await look(client, ofBox(id))
  if (!kinds.includes('primary_ips')) return things
  for (const { public_net } of things.servers) {
    for (const one of [public_net.ipv4, public_net.ipv6]) {
      if (one?.id) addresses.set(one.id, one.ip)
    }
  }
  const labelled = new Set(things.primary_ips.map((one) => one.id))
  const others = await Promise.all(
    [...addresses].filter(([one]) => !labelled.has(one)).map(([, ip]) => client.list('primary_ips', { ip })),
  )
  // One that somebody made and assigned by himself is his.
  const left = others.flat().filter((one) => addresses.has(one.id) && one.auto_delete)
  return { ...things, primary_ips: [...things.primary_ips, ...left] }
}

const pick = (things: Things, kinds: readonly Kind[]): Things => ({
  servers: kinds.includes('servers') ? things.servers : [],
  primary_ips: kinds.includes('primary_ips') ? things.primary_ips : [],
  volumes: kinds.includes('volumes') ? things.volumes : [],
  firewalls: kinds.includes('firewalls') ? things.firewalls : [],
  ssh_keys: kinds.includes('ssh_keys') ? things.ssh_keys : [],
  images: kinds.includes('images') ? things.images : [],
})

/** One attempt for each of them, in order. Returns the last failure that is worth telling. */
async function removeThings(client: Client, things: Things): Promise<GibilError | undefined> {
  let failure: GibilError | undefined
  for (const kind of kindsOfThings) {
    // While the server is there its address and firewall cannot go.
    if (kind !== 'servers' && kind !== 'ssh_keys' && failure !== undefined && things.servers.length > 0) continue
    const results = await Promise.allSettled(
      things[kind].map(async ({ id }) => client.actions.wait(await client.remove(kind, id))),
    )
    for (const result of results) {
      if (result.status === 'fulfilled' || isNotFound(result.reason)) continue
      const error = GibilError.from(result.reason, 'cloud_failed')
      if (failure === undefined || !hopeless.includes(failure.code)) failure = error
    }
  }
  return failure
}
