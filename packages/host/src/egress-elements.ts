import type { Egress } from '@gibil/contract'
import { addressOf } from './host-network.ts'
import { formatNet, type Ipv4Net, overlaps, parseNet } from './ipv4.ts'

/** A set of nftables with an element for each network of one list of each box, behind the box's own address. */
export function egressElements(
  name: string,
  list: keyof Egress,
  subnet: Ipv4Net,
  egress: ReadonlyMap<number, Egress>,
): string {
  const elements = [...egress].flatMap(([slot, lists]) =>
    apart(lists[list]).map((net) => `${addressOf(subnet, slot)} . ${formatNet(net)}`),
  )
  const line = elements.length === 0 ? '' : ` elements = { ${elements.join(', ')} };`
  return `set ${name} { type ipv4_addr . ipv4_addr; flags interval;${line} }`
}

/** Without those that lie in another one: the kernel takes no elements that overlap. */
export function apart(list: readonly string[]): Ipv4Net[] {
  const nets = list.flatMap((text) => parseNet(text) ?? []).toSorted((one, other) => one.bits - other.bits)
  const kept: Ipv4Net[] = []
  for (const net of nets) if (!kept.some((wider) => overlaps(wider, net))) kept.push(net)
  return kept
}
