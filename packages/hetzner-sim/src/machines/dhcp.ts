/**
 * The least of DHCP (RFC 2131) that gives one machine its one address, as Hetzner does: a /32, with a gateway beyond it
 * that a classless route (RFC 3442) puts on the link.
 */
export interface Lease {
  readonly address: string
  readonly gateway: string
  readonly resolver: string
}

const cookie = 0x63_82_53_63
const head = 240
const types = { discover: 1, offer: 2, request: 3, ack: 5 } as const
const leaseSeconds = 86_400

const bytes = (address: string): number[] => address.split('.').map(Number)
const option = (code: number, value: readonly number[]): number[] => [code, value.length, ...value]

/** The answer to a discover or a request of this machine; undefined for anything else. */
export function dhcpAnswer(request: Buffer, mac: string, lease: Lease): Buffer | undefined {
  if (request.length < head || request[0] !== 1 || request.readUInt32BE(236) !== cookie) return undefined
  if (request.subarray(28, 34).toString('hex') !== mac.replaceAll(':', '')) return undefined
  const type = messageType(request)
  if (type !== types.discover && type !== types.request) return undefined
  const answer = Buffer.alloc(head)
  request.copy(answer, 0, 0, head)
  answer[0] = 2
  Buffer.from(bytes(lease.address)).copy(answer, 16)
  Buffer.from(bytes(lease.gateway)).copy(answer, 20)
  const options = [
    ...option(53, [type === types.discover ? types.offer : types.ack]),
    ...option(54, bytes(lease.gateway)),
    ...option(51, [leaseSeconds >> 24, (leaseSeconds >> 16) & 255, (leaseSeconds >> 8) & 255, leaseSeconds & 255]),
    ...option(1, [255, 255, 255, 255]),
    ...option(3, bytes(lease.gateway)),
    ...option(121, [32, ...bytes(lease.gateway), 0, 0, 0, 0, 0, ...bytes(lease.gateway)]),
    ...option(6, bytes(lease.resolver)),
    255,
  ]
  return Buffer.concat([answer, Buffer.from(options)])
}

function messageType(request: Buffer): number | undefined {
  for (let at = head; at + 2 < request.length && request[at] !== 255; ) {
    const code = request[at]
    const length = request[at + 1] ?? 0
    if (code === 0) at += 1
    else if (code === 53) return request[at + 2]
    else at += 2 + length
  }
  return undefined
}
