import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { ApiError } from '../errors.ts'
import { gateway, metadataAddress } from './metadata.ts'

const exec = promisify(execFile)
const ip = async (line: string): Promise<void> => {
  await exec('ip', line.split(' '))
}

/** What the networks of one simulator are called: its machines are told from those of others by the place of its state. */
export interface Names {
  of(id: number): { namespace: string; link: string }
  /**
   * One of its addresses, out of the range kept for benchmarks (RFC 2544), that is not among these. Throws
   * `resource_unavailable` when all that are tried are.
   */
  freeIpv4(taken: ReadonlySet<string>): string
}

const mostMachines = 254

export function namesFor(dir: string): Names {
  const hash = createHash('sha256').update(resolve(dir)).digest()
  const short = hash.toString('hex').slice(0, 4)
  // From any of the 2^17 on, so that the addresses of two simulators are hardly ever the same.
  const nth = (n: number): string | undefined => {
    const at = ((hash.readUInt32BE(2) >>> 15) + n) % 2 ** 17
    const last = at & 255
    return last === 0 || last === 255 ? undefined : `198.${18 + (at >> 16)}.${(at >> 8) & 255}.${last}`
  }
  return {
    // A link's name has 15 characters at most.
    of: (id) => ({ namespace: `hzsim-${short}-${id}`, link: `hz${short}${id.toString(36)}` }),
    freeIpv4(taken) {
      for (let n = 0; n < mostMachines; n += 1) {
        const address = nth(n)
        if (address !== undefined && !taken.has(address)) return address
      }
      throw new ApiError(412, 'resource_unavailable', 'no address is left')
    },
  }
}

/**
 * A network namespace for one machine, in which its gateway and 169.254.169.254 are, and a way from the host to its address
 * and back. Nothing else can reach what answers at 169.254.169.254 there.
 */
export async function makeLinks(names: ReturnType<Names['of']>, address: string): Promise<void> {
  const { namespace, link } = names
  await removeLinks(names)
  const within = `-n ${namespace}`
  await ip(`netns add ${namespace}`)
  await ip(`link add ${link} type veth peer name uplink netns ${namespace}`)
  // Next hops by addresses of the link alone (RFC 5549): no IPv4 address is spent.
  await ip(`addr add fe80::1/64 dev ${link} nodad`)
  await ip(`link set ${link} up`)
  await ip(`${within} addr add fe80::2/64 dev uplink nodad`)
  await ip(`${within} link set uplink up`)
  await ip(`${within} link set lo up`)
  await ip(`${within} tuntap add vm0 mode tap`)
  for (const own of [gateway, metadataAddress]) await ip(`${within} addr add ${own}/32 dev vm0`)
  await ip(`${within} link set vm0 up`)
  // The machine, and answers to it while it has no address.
  for (const to of [address, '255.255.255.255']) await ip(`${within} route add ${to}/32 dev vm0`)
  await ip(`${within} route add 0.0.0.0/0 via inet6 fe80::1 dev uplink`)
  await exec('ip', ['netns', 'exec', namespace, 'sysctl', '-qw', 'net.ipv4.ip_forward=1'])
  // Fails when it is another's.
  await ip(`route add ${address}/32 via inet6 fe80::2 dev ${link}`)
}

/** Takes the namespace away with all links and routes of it. The processes in it have to be gone. */
export async function removeLinks({ namespace, link }: ReturnType<Names['of']>): Promise<void> {
  await ip(`link del ${link}`).catch(() => undefined)
  await ip(`netns del ${namespace}`).catch(() => undefined)
}
