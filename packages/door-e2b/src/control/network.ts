import { isIP } from 'node:net'
import { Egress as BoxEgress, GibilError } from '@gibil/contract'
import * as z from 'zod'
import { notDone, notPutIn } from '../errors.ts'

const everything = '0.0.0.0/0'

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
 * What a box may connect to by such a policy; what is allowed wins over what is denied, as at E2B. Throws `invalid_request` for rules that E2B refuses
 * too, `unsupported_by_door` for those that are more than addresses.
 */
export function egressOf(egress: Egress | undefined, allowInternet: boolean | undefined): BoxEgress {
  const { allowOut, denyOut, rules, egressProxy } = egress ?? {}
  const denied = [...(denyOut ?? []), ...(allowInternet === false ? [everything] : [])]
  const allowed = allowOut ?? []
  for (const entry of denied) {
    if (versionOf(entry) === 0) {
      throw new GibilError('invalid_request', `denyOut: "${entry.slice(0, 80)}" is no IP address or CIDR.`)
    }
  }
  const isName = (entry: string): boolean => versionOf(entry) === 0
  if (allowed.some(isName) && !denied.includes(everything)) {
    throw new GibilError('invalid_request', 'allowOut: domains need denyOut to be 0.0.0.0/0.')
  }
  if (egressProxy !== undefined && egressProxy !== null) throw notDone('network.egressProxy')
  if (Object.keys(rules ?? {}).length > 0) throw notPutIn('network.rules')
  const instead = 'Name IPv4 addresses or CIDRs.'
  const name = allowed.find(isName)
  if (name !== undefined) throw notDone(`network.allowOut by a domain ("${name.slice(0, 80)}")`, instead)
  if (allowed.some((entry) => versionOf(entry) === 6)) throw notDone('network.allowOut by IPv6', instead)
  // A sandbox has no IPv6, so all of it is denied.
  const deny = denied.filter((entry) => versionOf(entry) === 4)
  const parsed = BoxEgress.safeParse({ allow: allowed, deny })
  if (parsed.success) return parsed.data
  throw new GibilError('invalid_request', `network: ${z.prettifyError(parsed.error)}`)
}

/** The same as the SDK reads it of a box. */
export const networkOf = ({ allow, deny }: BoxEgress) => ({
  ...(allow.length > 0 ? { allowOut: allow } : {}),
  ...(deny.length > 0 ? { denyOut: deny } : {}),
})

export const deniesAll = ({ deny }: BoxEgress): boolean => deny.includes(everything)

/** 4 or 6 of an address or CIDR, 0 of anything else. */
function versionOf(entry: string): 0 | 4 | 6 {
  const [address = '', bits, ...more] = entry.split('/')
  const version = isIP(address)
  if (version === 0 || more.length > 0) return 0
  const most = version === 4 ? 32 : 128
  if (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= most)) return 0
  return version === 4 ? 4 : 6
}
