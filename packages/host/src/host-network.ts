import { networkInterfaces } from 'node:os'
import { formatIpv4, type Ipv4Net, overlaps, parseIpv4, parseNet } from './ipv4.ts'

/** Private addresses (RFC 1918) that few networks use; homes take one /22 each out of it. */
const pool = { address: 0x0a40_0000, bits: 10 } as const satisfies Ipv4Net
const subnetBits = 22
const subnetCount = 2 ** (subnetBits - pool.bits)

/** The subnets that a home may take, best first: the order begins at a place that its hash gives. */
export function* subnetCandidates(hash: string, taken: readonly Ipv4Net[]): Generator<Ipv4Net> {
  const start = Number.parseInt(hash.slice(0, 6), 16)
  for (let step = 0; step < subnetCount; step += 1) {
    const index = (start + step) % subnetCount
    const subnet = { address: pool.address + index * 2 ** (32 - subnetBits), bits: subnetBits }
    if (!taken.some((net) => overlaps(net, subnet))) yield subnet
  }
}

export function gatewayOf(subnet: Ipv4Net): string {
  return formatIpv4(subnet.address + 1)
}

export function addressOf(subnet: Ipv4Net, slot: number): string {
  return formatIpv4(subnet.address + 2 + slot)
}

/** A locally administered MAC that is the same at each start of the box. */
export function macOf(hash: string, slot: number): string {
  const bytes = [2, ...[0, 2, 4].map((at) => Number.parseInt(hash.slice(at, at + 2), 16)), slot >> 8, slot & 255]
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':')
}

export interface Route {
  readonly link: string
  readonly net: Ipv4Net
}

/** Reads /proc/net/route: one route a line, addresses in hex with the lowest byte first (little-endian hosts). */
export function parseRoutes(text: string): Route[] {
  const routes: Route[] = []
  for (const line of text.split('\n').slice(1)) {
    const [link, destination, , , , , , mask] = line.trim().split(/\s+/)
    if (!link || !destination || !mask) continue
    const bits = (Number.parseInt(mask, 16).toString(2).match(/1/g) ?? []).length
    routes.push({ link, net: { address: swap(destination), bits } })
  }
  return routes
}

function swap(hex: string): number {
  const value = Number.parseInt(hex, 16)
  return (((value & 255) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0
}

/** Networks of this host's addresses and routes, without default routes and the links that `own` accepts. */
export function takenNets(routes: readonly Route[], own: (link: string) => boolean): Ipv4Net[] {
  const nets = routes.filter((route) => route.net.bits > 0 && !own(route.link)).map((route) => route.net)
  for (const [link, addresses] of Object.entries(networkInterfaces())) {
    if (own(link)) continue
    for (const { family, cidr } of addresses ?? []) {
      const net = family === 'IPv4' && cidr ? parseNet(cidr) : undefined
      if (net) nets.push(net)
    }
  }
  return nets
}

/** The link of the default route, whose MTU boxes take too. */
export function defaultLink(routes: readonly Route[]): string | undefined {
  return routes.find((route) => route.net.bits === 0)?.link
}

/** Used when the host names only resolvers that boxes cannot reach; what container engines do too. */
export const publicResolver = '1.1.1.1'

export interface Upstream {
  readonly address: string
  /** False when the host's own resolver could not be used. */
  readonly ofHost: boolean
}

/**
 * The resolver that boxes' questions go to: the first IPv4 one of the given resolv.conf texts (the first text that names
 * a usable one counts). A loopback resolver is reached from this host only, so it is passed over.
 */
export function chooseUpstream(texts: readonly string[]): Upstream {
  for (const text of texts) {
    for (const line of text.split('\n')) {
      const address = /^\s*nameserver\s+(\S+)/.exec(line)?.[1]
      const value = address === undefined ? undefined : parseIpv4(address)
      if (address !== undefined && value !== undefined && value >>> 24 !== 127 && value !== 0) {
        return { address, ofHost: true }
      }
    }
  }
  return { address: publicResolver, ofHost: false }
}
