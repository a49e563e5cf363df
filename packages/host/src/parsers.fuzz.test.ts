import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { chooseUpstream, defaultLink, parseRoutes, takenNets } from './host-network.ts'
import { formatIpv4, formatNet, overlaps, parseIpv4, parseNet } from './ipv4.ts'

const address = fc.nat(2 ** 32 - 1)
const net = fc.tuple(address, fc.nat(32)).map(([value, bits]) => `${formatIpv4(value)}/${bits}`)

describe('addresses', () => {
  test('come back as they were written', () => {
    fc.assert(fc.property(address, (value) => void expect(parseIpv4(formatIpv4(value))).toBe(value)))
    fc.assert(
      fc.property(net, (text) => {
        const parsed = parseNet(text)
        expect(parsed && parseNet(formatNet(parsed))).toEqual(parsed)
      }),
    )
  })

  test('two networks overlap in both directions or in none', () => {
    fc.assert(
      fc.property(net, net, (left, right) => {
        const [a, b] = [parseNet(left), parseNet(right)]
        if (a && b) expect(overlaps(a, b)).toBe(overlaps(b, a))
      }),
    )
  })

  test('any text is an address or none', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[0-9./ ]{0,20}$/))
    fc.assert(
      fc.property(text, (input) => {
        const parsed = parseNet(input)
        if (parsed === undefined) return
        expect(Number.isInteger(parsed.address) && parsed.address >= 0 && parsed.address < 2 ** 32).toBe(true)
        expect(Number.isInteger(parsed.bits) && parsed.bits >= 0 && parsed.bits <= 32).toBe(true)
      }),
    )
  })
})

describe('what the host says of its network', () => {
  const hex = fc.nat(2 ** 32 - 1).map((value) => value.toString(16).toUpperCase().padStart(8, '0'))
  const line = fc.oneof(
    fc.tuple(hex, hex).map(([to, mask]) => `eth0\t${to}\t00000000\t0001\t0\t0\t0\t${mask}\t0\t0\t0`),
    fc.string(),
    fc.stringMatching(/^[a-z0-9\t ]{0,60}$/),
  )

  test('any table of routes is read as networks', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 6 }), (lines) => {
        const routes = parseRoutes(['Iface\tDestination', ...lines].join('\n'))
        for (const { net: found } of routes) {
          expect(Number.isInteger(found.address) && found.address >= 0 && found.address < 2 ** 32).toBe(true)
          expect(Number.isInteger(found.bits) && found.bits >= 0 && found.bits <= 32).toBe(true)
        }
        expect(Array.isArray(takenNets(routes, () => false))).toBe(true)
        defaultLink(routes)
      }),
    )
  })

  test('any resolv.conf names a resolver that boxes can reach', () => {
    const entry = fc.oneof(
      net.map((text) => `nameserver ${text.split('/')[0]}`),
      fc.string(),
    )
    fc.assert(
      fc.property(fc.array(fc.array(entry).map((lines) => lines.join('\n'))), (texts) => {
        const value = parseIpv4(chooseUpstream(texts).address)
        expect(value !== undefined && value >>> 24 !== 127 && value !== 0).toBe(true)
      }),
    )
  })
})
