import { expect, it } from 'vitest'
import {
  addressOf,
  chooseUpstream,
  gatewayOf,
  macOf,
  parseRoutes,
  publicResolver,
  subnetCandidates,
} from './host-network.ts'
import { formatIpv4, formatNet, overlaps, parseIpv4, parseNet } from './ipv4.ts'
import { slotCount } from './slots.ts'

const net = (text: string) => parseNet(text) ?? { address: -1, bits: -1 }

it('reads and writes addresses', () => {
  expect(formatIpv4(parseIpv4('203.0.113.255') ?? 0)).toBe('203.0.113.255')
  expect(formatNet(net('10.64.7.9/22'))).toBe('10.64.4.0/22')
  expect(net('0.0.0.0/0')).toEqual({ address: 0, bits: 0 })
  for (const bad of ['1.2.3', '1.2.3.256', '1.2.3.4.5', 'a.b.c.d', '', '::1', '1.2.3.-4'])
    expect(parseIpv4(bad)).toBeUndefined()
  for (const bad of ['10.0.0.0/33', '10.0.0.0/x', '10.0.0.0/-1']) expect(parseNet(bad)).toBeUndefined()
})

it('knows which networks overlap', () => {
  expect(overlaps(net('10.0.0.0/8'), net('10.64.4.0/22'))).toBe(true)
  expect(overlaps(net('10.64.4.0/22'), net('10.64.7.255'))).toBe(true)
  expect(overlaps(net('10.64.4.0/22'), net('10.64.8.0/22'))).toBe(false)
})

it('offers each /22 of 10.64.0.0/10 once, from a place that the hash gives, without those in use', () => {
  const all = [...subnetCandidates('000001', [])].map(formatNet)
  expect(all).toHaveLength(4096)
  expect(new Set(all).size).toBe(4096)
  expect(all[0]).toBe('10.64.4.0/22')
  expect(all.at(-1)).toBe('10.64.0.0/22')
  const rest = [...subnetCandidates('000001', [net('10.64.0.0/11'), net('10.127.255.7')])].map(formatNet)
  expect(rest).toHaveLength(2047)
  expect(rest[0]).toBe('10.96.0.0/22')
  expect([...subnetCandidates('ffffff', [net('10.0.0.0/8')])]).toEqual([])
})

it('gives every slot an address of its own in the subnet, none of them the gateway', () => {
  const subnet = net('10.64.4.0/22')
  const addresses = Array.from({ length: slotCount }, (_, slot) => addressOf(subnet, slot))
  expect(new Set([...addresses, gatewayOf(subnet)]).size).toBe(slotCount + 1)
  expect(addresses.every((address) => overlaps(net(address), subnet))).toBe(true)
  expect(macOf('a1b2c3', 258)).toBe('02:a1:b2:c3:01:02')
})

it('reads routes as /proc/net/route writes them', () => {
  const text = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
`
  expect(parseRoutes(text)).toEqual([
    { link: 'eth0', net: net('0.0.0.0/0') },
    { link: 'eth0', net: net('192.0.2.0/24') },
  ])
})

it.each([
  ['the first IPv4 resolver', ['search x\nnameserver 10.1.1.1\nnameserver 8.8.8.8'], '10.1.1.1', true],
  [
    'past loopback and IPv6 ones',
    ['nameserver 127.0.0.53\nnameserver ::1\nnameserver 9.9.9.9 # note'],
    '9.9.9.9',
    true,
  ],
  [
    'the second file when the first has only a stub',
    ['nameserver 127.0.0.53', 'nameserver 192.168.1.1'],
    '192.168.1.1',
    true,
  ],
  ['a public one when the host has none', ['nameserver 127.0.0.1', '# nameserver 1.2.3.4'], publicResolver, false],
])('chooses %s', (_, texts, address, ofHost) => {
  expect(chooseUpstream(texts)).toEqual({ address, ofHost })
})
