/** Addresses that a box may, or may not, connect to, within what its network policy lets it. */
import * as z from 'zod'

/** Boxes have no IPv6. */
const Net = z
  .union([z.ipv4(), z.cidrv4()], { error: 'an IPv4 address or network is wanted, such as 203.0.113.7 or 10.0.0.0/8' })
  .describe('an IPv4 address, or a network as in 10.0.0.0/8')

const most = 256

/** What is in neither list may be connected to. */
export const Egress = z.strictObject({
  allow: z.array(Net).max(most).default([]).describe('stays open whatever is denied'),
  deny: z.array(Net).max(most).default([]).describe('0.0.0.0/0: all, the resolver of names too'),
})
export type Egress = z.infer<typeof Egress>

export const openEgress: Egress = { allow: [], deny: [] }
