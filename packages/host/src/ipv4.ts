/** IPv4 arithmetic on unsigned 32-bit numbers. */

export interface Ipv4Net {
  readonly address: number
  /** 0 to 32. */
  readonly bits: number
}

/** Undefined when the text is not a dotted quad. */
export function parseIpv4(text: string): number | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  let value = 0
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return undefined
    value = value * 256 + Number(part)
  }
  return value
}

export function formatIpv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.')
}

/** Reads `10.0.0.0/8`; a bare address is a /32. */
export function parseNet(text: string): Ipv4Net | undefined {
  const [head, tail] = text.split('/')
  const address = parseIpv4(head ?? '')
  const bits = tail === undefined ? 32 : Number(tail)
  if (address === undefined || !Number.isInteger(bits) || bits < 0 || bits > 32) return undefined
  return { address: mask(address, bits), bits }
}

export function formatNet(net: Ipv4Net): string {
  return `${formatIpv4(net.address)}/${net.bits}`
}

export function overlaps(a: Ipv4Net, b: Ipv4Net): boolean {
  const bits = Math.min(a.bits, b.bits)
  return mask(a.address, bits) === mask(b.address, bits)
}

function mask(address: number, bits: number): number {
  return bits === 0 ? 0 : ((address >>> (32 - bits)) << (32 - bits)) >>> 0
}
