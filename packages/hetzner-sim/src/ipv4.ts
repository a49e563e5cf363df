/** Networks of IPv4 as numbers. Ours alone: the packages of the daemon have nothing to do with a simulator of another's API. */
export interface Net {
  readonly address: number
  readonly bits: number
}

/** Reads `10.0.0.0/16`; undefined for anything else, and for one with bits set that are not of the network. */
export function parseNet(text: string): Net | undefined {
  const [, ...parts] = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text) ?? []
  const [a = 256, b = 256, c = 256, d = 256, bits = 33] = parts.map(Number)
  if ([a, b, c, d].some((byte) => byte > 255) || bits > 32) return undefined
  const address = ((a * 256 + b) * 256 + c) * 256 + d
  return address % 2 ** (32 - bits) === 0 ? { address, bits } : undefined
}

export const formatIp = (address: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.')

export const parseIp = (text: string): number | undefined => parseNet(`${text}/32`)?.address

export const sizeOf = ({ bits }: Net): number => 2 ** (32 - bits)

export const contains = (outer: Net, inner: Net): boolean =>
  inner.bits >= outer.bits && inner.address >= outer.address && inner.address < outer.address + sizeOf(outer)

export const overlaps = (a: Net, b: Net): boolean => contains(a, b) || contains(b, a)

/** RFC 1918. */
export const isPrivate = (net: Net): boolean =>
  ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'].some((text) => {
    const outer = parseNet(text)
    return outer !== undefined && contains(outer, net)
  })
