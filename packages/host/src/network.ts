import { existsSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type Egress, GibilError } from '@gibil/contract'
import * as z from 'zod'
import { type Claims, createClaims } from './claims.ts'
import { parseJson, readIfThere, writeWhole } from './files.ts'
import { admitThroughHostFirewall, withdrawFromHostFirewall } from './firewall.ts'
import {
  chooseUpstream,
  defaultLink,
  parseRoutes,
  type Route,
  subnetCandidates,
  takenNets,
  type Upstream,
} from './host-network.ts'
import { formatNet, type Ipv4Net, overlaps, parseNet } from './ipv4.ts'
import { createKeyedLock } from './keyed-lock.ts'
import type { Log } from './log.ts'
import type { HomeNames } from './names.ts'
import { nftRules } from './nft-rules.ts'
import { uidBlocks } from './slots.ts'
import { mustRun, type RunTool } from './tool.ts'

const networkFile = z.object({
  version: z.literal(1),
  subnet: z.string(),
  uidBlock: z
    .int()
    .min(0)
    .max(uidBlocks - 1),
})

export interface HomeNetwork {
  readonly subnet: Ipv4Net
  readonly uidBlock: number
  readonly mtu: number
  /** Makes the firewall send boxes' questions to the host's resolver of now, which changes as a laptop moves. */
  refreshResolver(): Promise<void>
  /** What the box of a slot may connect to from now on; undefined: all that its policy lets it. Nothing happens when that is so already. */
  setEgress(slot: number, egress: Egress | undefined): Promise<void>
  /** Removes the rules and gives the subnet back, for another home to take or for this one to take again. */
  dismantle(): Promise<void>
}

export interface NetworkDeps {
  readonly names: HomeNames
  readonly run: RunTool
  readonly log: Log
  /** Instead of the host's resolvers. */
  readonly resolver?: string | undefined
  /** Of the boxes that are there, by their slots: the firewall has them from its first moment on. */
  readonly egress: ReadonlyMap<number, Egress>
}

/** Chooses (once) and claims the home's subnet and user ids, turns on forwarding and applies the firewall. */
export async function openNetwork(deps: NetworkDeps): Promise<HomeNetwork> {
  const { names, run, log } = deps
  const claims = createClaims('/run/gibil/claims', names.home)
  const routes = parseRoutes((await readIfThere('/proc/net/route')) ?? '')
  const { subnet, uidBlock } = await choose(names, claims, routes)
  const dismantle = async (): Promise<void> => {
    await withdrawFromHostFirewall(names, run)
    await run('nft', ['delete', 'table', 'inet', names.prefix])
    await claims.release(subnetClaim(subnet))
    await claims.release(uidClaim(uidBlock))
  }
  const { run: alone } = createKeyedLock()
  let applied: Applied = { resolver: undefined, egress: new Map(deps.egress) }
  const apply = async (resolver: string, egress: ReadonlyMap<number, Egress>): Promise<void> => {
    await mustRun(run, 'nft', ['-f', '-'], nftRules({ names, subnet, upstream: resolver, egress }))
    applied = { resolver, egress }
  }
  const refreshResolver = async (): Promise<void> => {
    const { address: resolver } = await currentUpstream(deps.resolver)
    if (resolver === applied.resolver) return
    await alone('firewall', () => apply(resolver, applied.egress))
    log('info', 'firewall applied', { table: names.prefix, subnet: formatNet(subnet), resolver })
  }
  const setEgress: HomeNetwork['setEgress'] = (slot, wish) => {
    const egress = wish && wish.allow.length + wish.deny.length > 0 ? wish : undefined
    // Most boxes have none, and wait for nobody.
    if (egress === undefined && !applied.egress.has(slot)) return Promise.resolve()
    return alone('firewall', async () => {
      if (isDeepStrictEqual(applied.egress.get(slot), egress)) return
      const others = [...applied.egress].filter(([other]) => other !== slot)
      const resolver = applied.resolver ?? (await currentUpstream(deps.resolver)).address
      await apply(resolver, new Map([...others, ...(egress ? [[slot, egress] as const] : [])]))
    })
  }
  await enableForwarding(log)
  await refreshResolver()
  for (const chain of await admitThroughHostFirewall(names, run)) {
    log('warn', 'another firewall drops forwarded packets, boxes may have no network', { ...chain })
  }

  return {
    subnet,
    uidBlock,
    mtu: await uplinkMtu(routes),
    refreshResolver,
    setEgress,
    dismantle,
  }
}

interface Applied {
  readonly resolver: string | undefined
  readonly egress: ReadonlyMap<number, Egress>
}

const subnetClaim = (subnet: Ipv4Net): string => `subnet-${formatNet(subnet).replace('/', '-')}`
const uidClaim = (block: number): string => `uids-${block}`

async function choose(
  names: HomeNames,
  claims: Claims,
  routes: readonly Route[],
): Promise<{ subnet: Ipv4Net; uidBlock: number }> {
  const path = join(names.home, 'network.json')
  const own = (link: string): boolean => link.startsWith(names.linkPrefix)
  const taken = takenNets(routes, own)
  const kept = networkFile.safeParse(parseJson((await readIfThere(path)) ?? ''))
  if (kept.success) {
    const subnet = parseNet(kept.data.subnet)
    const inUse = Object.keys(networkInterfaces()).some(own)
    if (subnet && (inUse || !taken.some((net) => overlaps(net, subnet)))) {
      const claimed = await claims.first([subnetClaim(subnet)])
      await claims.first([uidClaim(kept.data.uidBlock)])
      if (claimed !== undefined || inUse) return { subnet, uidBlock: kept.data.uidBlock }
    }
  }
  const subnet = await claimSubnet(names, claims, taken)
  const uidBlock = kept.success ? kept.data.uidBlock : await claimUidBlock(names, claims)
  await mkdir(names.home, { recursive: true })
  const text = JSON.stringify({ version: 1, subnet: formatNet(subnet), uidBlock } satisfies z.infer<typeof networkFile>)
  await writeWhole(path, `${text}\n`, { durable: true })
  return { subnet, uidBlock }
}

async function claimSubnet(names: HomeNames, claims: Claims, taken: readonly Ipv4Net[]): Promise<Ipv4Net> {
  for (const subnet of subnetCandidates(names.prefix.slice(-6), taken)) {
    if ((await claims.first([subnetClaim(subnet)])) !== undefined) return subnet
  }
  throw new GibilError('host_unfit', 'All of 10.64.0.0/10 is in use on this host; boxes need a /22 of it.', {
    hint: 'Remove a route that covers 10.64.0.0/10, or homes of daemons that are no longer used.',
  })
}

/** Blocks of ids are few: when all are claimed, the hash decides, and boxes of two homes may have the same ids. */
async function claimUidBlock(names: HomeNames, claims: Claims): Promise<number> {
  const start = Number.parseInt(names.prefix.slice(-6), 16)
  const blocks = Array.from({ length: uidBlocks }, (_, step) => (start + step) % uidBlocks)
  const claimed = await claims.first(blocks.map(uidClaim))
  return blocks.find((block) => uidClaim(block) === claimed) ?? start % uidBlocks
}

async function enableForwarding(log: Log): Promise<void> {
  const path = '/proc/sys/net/ipv4/ip_forward'
  if ((await readIfThere(path))?.trim() === '1') return
  await writeFile(path, '1')
  log('info', 'turned on net.ipv4.ip_forward', {})
}

export async function currentUpstream(resolver: string | undefined): Promise<Upstream> {
  if (resolver !== undefined) return { address: resolver, ofHost: true }
  // systemd-resolved's stub listens on loopback; it keeps the resolvers behind it in its own file.
  const texts = await Promise.all(['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'].map(readIfThere))
  return chooseUpstream(texts.filter((text) => text !== undefined))
}

async function uplinkMtu(routes: readonly Route[]): Promise<number> {
  const link = defaultLink(routes)
  const text = link === undefined ? undefined : await readIfThere(`/sys/class/net/${link}/mtu`)
  const mtu = Number(text?.trim())
  return Number.isInteger(mtu) && mtu >= 576 ? Math.min(mtu, 1500) : 1500
}

export function linkExists(link: string): boolean {
  return existsSync(join('/sys/class/net', link))
}

/** Links of this home that are on the host now. */
export async function ownLinks(names: HomeNames): Promise<string[]> {
  return (await readdir('/sys/class/net')).filter((link) => link.startsWith(names.linkPrefix))
}
