import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'

/** A rule of a firewall for what comes in; ports as the API writes them: `80`, `80-85`, `any`. */
interface InboundRule {
  readonly protocol: 'tcp' | 'udp' | 'icmp' | 'esp' | 'gre'
  readonly port: string | null
  /** CIDRs. */
  readonly sources: readonly string[]
}

/** What may come in to a server: null, all, since no firewall is applied to it; else what one of the rules names. */
export type Inbound = readonly InboundRule[] | null

const table = 'inet admission'

/**
 * Rules of nft(8) for what comes to a machine by `uplink`, before it is known whether the machine is a process of the namespace or behind another link of it. What
 * belongs to a connection that the machine began, or that was admitted, comes in, as at Hetzner. IPv6 is left alone: it is how the host finds the way.
 */
function admissionRules(inbound: Inbound, uplink: string): string {
  const clear = `table ${table} {}\ndelete table ${table}\n`
  if (inbound === null) return clear
  return `${clear}table ${table} {
  chain inbound {
    type filter hook prerouting priority filter; policy accept;
    iifname != "${uplink}" accept
    meta nfproto != ipv4 accept
    ct state established,related accept
${inbound.flatMap(admit).join('\n')}
    drop
  }
}
`
}

/** One for each network, since nft takes no two in one set of which the one holds the other. IPv6 leads nowhere here. */
function admit({ protocol, port, sources }: InboundRule): string[] {
  const ports = port === null || port === 'any' ? '' : ` ${protocol} dport ${port}`
  return sources
    .filter((source) => !source.includes(':'))
    .map((source) => `    meta l4proto ${protocol}${ports} ip saddr ${source} accept`)
}

/** Has a network namespace take what these rules admit and nothing else, at once and as a whole. Throws when nft refuses them. */
export async function enforce(namespace: string, inbound: Inbound, uplink = 'uplink'): Promise<void> {
  const child = spawn('ip', ['netns', 'exec', namespace, 'nft', '-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'] })
  child.stdin.on('error', () => undefined)
  child.stdin.end(admissionRules(inbound, uplink))
  const said = text(child.stderr)
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`the rules of a firewall were refused: ${await said}`)
}
