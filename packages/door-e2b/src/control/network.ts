import { isIP } from 'node:net'
import { GibilError, type NetworkPolicy } from '@gibil/contract'
import * as z from 'zod'
import { notDone } from '../errors.ts'

const everything = new Set(['0.0.0.0/0', '::/0'])

/** What leaves a sandbox, as create and update have it. */
export const Egress = z.strictObject({
  allowOut: z.array(z.string()).nullish(),
  denyOut: z.array(z.string()).nullish(),
  rules: z.record(z.string(), z.unknown()).nullish(),
  egressProxy: z.unknown().optional(),
})
export type Egress = z.infer<typeof Egress>

export const Network = Egress.extend({
  allowPublicTraffic: z.boolean().nullish(),
  maskRequestHost: z.string().min(1).max(253).nullish(),
  httpsPorts: z.array(z.int()).nullish(),
})

/**
 * What of a network policy a box can have: all of the public internet, or nothing. Throws `invalid_request` for rules that E2B refuses too,
 * `unsupported_by_door` for those between.
 */
export function policyOf(egress: Egress | undefined, allowInternet: boolean | undefined): NetworkPolicy {
  const { allowOut, denyOut, rules, egressProxy } = egress ?? {}
  const denied = denyOut ?? []
  const allowed = allowOut ?? []
  for (const entry of denied) {
    if (!isAddress(entry))
      throw new GibilError('invalid_request', `denyOut: "${entry.slice(0, 80)}" is no IP address or CIDR.`)
  }
  const deniesAll = denied.some((entry) => everything.has(entry))
  if (allowed.some((entry) => !isAddress(entry)) && !deniesAll) {
    throw new GibilError('invalid_request', 'allowOut: domains need denyOut to be 0.0.0.0/0.')
  }
  if (egressProxy !== undefined && egressProxy !== null) throw notDone('network.egressProxy')
  if (Object.keys(rules ?? {}).length > 0) throw notDone('network.rules')
  const off = allowInternet === false || deniesAll
  const rest = denied.filter((entry) => !everything.has(entry))
  const instead =
    'A sandbox has all of the public internet, or nothing: denyOut 0.0.0.0/0, or allowInternetAccess false.'
  if (off && allowed.length > 0) throw notDone('network.allowOut beside a network that denies everything', instead)
  if (!off && rest.length > 0) throw notDone('network.denyOut of single addresses', instead)
  return off ? 'none' : 'internet'
}

function isAddress(entry: string): boolean {
  const [address = '', bits, ...more] = entry.split('/')
  const version = isIP(address)
  if (version === 0 || more.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}
