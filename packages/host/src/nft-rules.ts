import type { Egress } from '@gibil/contract'
import { egressElements } from './egress-elements.ts'
import { gatewayOf } from './host-network.ts'
import { formatNet, type Ipv4Net } from './ipv4.ts'
import { type HomeNames, linkPrefixOf } from './names.ts'

export interface RuleInput {
  readonly names: HomeNames
  readonly subnet: Ipv4Net
  /** IPv4 address of the resolver that boxes' questions to the gateway go to. */
  readonly upstream: string
  /** Of each box that has rules of its own, by its slot. */
  readonly egress: ReadonlyMap<number, Egress>
}

/** Addresses that are never the internet (RFC 6890 and its registry): loopback, "this network", link-local, multicast, reserved. */
const nowhere = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4']
/** Private networks, that `internet` boxes may not reach and `lan` boxes may: RFC 1918, carrier-grade NAT, benchmark nets. */
const privateNets = ['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16', '198.18.0.0/15']

/**
 * The firewall of one home: a table of its own, replaced as a whole in one transaction. A box's link carries the box's policy in
 * its name, so no box needs a rule; the addresses that one may or may not connect to beside that are in two sets. What is refused gets an answer, so
 * that programs in a box fail at once: a reset for TCP, since the kernel sends few ICMP messages a second.
 *
 * `guard` runs before any address translation (of other programs too), so what it refuses cannot be redirected past it.
 * Rules on addresses hold for open connections too, so they come before those are let through, and again after translation: what a box asks of
 * its gateway, the resolver of the host is asked.
 *
 * A verdict `accept` here does not overrule another table's `drop`; see firewall.ts for hosts with such tables.
 */
export function nftRules({ names, subnet, upstream, egress }: RuleInput): string {
  const table = `inet ${names.prefix}`
  const box = `"${names.linkPrefix}*"`
  const gateway = gatewayOf(subnet)
  return `table ${table} {}
delete table ${table}
table ${table} {
  ${egressElements('allowed', 'allow', subnet, egress)}
  ${egressElements('denied', 'deny', subnet, egress)}
  chain refuse {
    meta l4proto tcp reject with tcp reset
    reject with icmpx admin-prohibited
  }
  chain addresses {
    ip saddr . ip daddr @allowed return
    ip saddr . ip daddr @denied goto refuse
  }
  chain guard {
    type filter hook prerouting priority -150; policy accept;
    iifname ${box} jump from_box
  }
  chain from_box {
    meta nfproto != ipv4 drop
    fib saddr . iif oif missing drop
    ip daddr != ${gateway} jump addresses
    ct state established,related accept
    ct state invalid drop
    ip daddr ${gateway} meta l4proto { tcp, udp } th dport 53 accept
    ip daddr ${gateway} icmp type echo-request limit rate 50/second accept
    fib daddr type { broadcast, multicast } drop
    fib daddr type local goto refuse
    ip daddr { ${nowhere.join(', ')} } goto refuse
  }
  chain resolver {
    type nat hook prerouting priority dstnat; policy accept;
    iifname ${box} ip daddr ${gateway} meta l4proto { tcp, udp } th dport 53 dnat ip to ${upstream}
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname != ${box} accept
    ip daddr ${upstream} jump addresses
    ct state established,related accept
    ip daddr ${upstream} meta l4proto { tcp, udp } th dport 53 accept
    ip daddr ${gateway} icmp type echo-request accept
    drop
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname ${box} tcp flags syn tcp option maxseg size set rt mtu
    iifname ${box} jump leaving
    oifname ${box} jump entering
  }
  chain leaving {
    jump addresses
    ct state established,related accept
    oifname ${box} goto refuse
    ip daddr ${upstream} meta l4proto { tcp, udp } th dport 53 accept
    ip daddr { ${nowhere.join(', ')} } goto refuse
    iifname "${linkPrefixOf(names, 'internet')}*" ip daddr { ${privateNets.join(', ')} } goto refuse
  }
  chain entering {
    meta nfproto != ipv4 drop
    ct state established,related accept
    drop
  }
  chain translate {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${formatNet(subnet)} oifname != ${box} masquerade
  }
}
`
}
