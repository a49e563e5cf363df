import { readIfThere } from './files.ts'
import type { HomeNames } from './names.ts'
import { mustRun, type RunTool } from './tool.ts'

/** A chain of another program's firewall that drops what it does not know, boxes' packets too. */
export interface ForeignChain {
  readonly family: string
  readonly table: string
  readonly chain: string
}

/** Reads `nft -j list chains` (libnftables-json(5)): base chains at `forward` with policy drop, in tables other than ours. */
export function droppingChains(json: string, names: HomeNames): ForeignChain[] {
  const found: ForeignChain[] = []
  for (const { chain } of parseChains(json)) {
    if (chain?.hook !== 'forward' || chain.policy !== 'drop' || chain.table === names.prefix) continue
    if (chain.family !== 'ip' && chain.family !== 'inet') continue
    found.push({ family: chain.family, table: chain.table ?? '', chain: chain.name ?? '' })
  }
  return found
}

interface ListedChain {
  readonly chain?: {
    readonly family?: string
    readonly table?: string
    readonly name?: string
    readonly hook?: string
    readonly policy?: string
  }
}

function parseChains(json: string): readonly ListedChain[] {
  const value: unknown = JSON.parse(json)
  if (typeof value !== 'object' || value === null || !('nftables' in value) || !Array.isArray(value.nftables)) return []
  return value.nftables
}

const isIptables = ({ family, table, chain }: ForeignChain): boolean =>
  family === 'ip' && table === 'filter' && chain === 'FORWARD'

/**
 * Docker and ufw set the policy of iptables' FORWARD chain to DROP, which would cut boxes off: a drop in any table is final. So
 * accepting rules for our links go to the top of it (to DOCKER-USER where it exists, which Docker leaves alone). Our own table still
 * decides what boxes may reach. Returns the chains that drop and that are not ours to change.
 */
export async function admitThroughHostFirewall(names: HomeNames, run: RunTool): Promise<readonly ForeignChain[]> {
  const dropping = droppingChains(await mustRun(run, 'nft', ['-j', 'list', 'chains']), names)
  const legacy = /^filter$/m.test((await readIfThere('/proc/net/ip_tables_names')) ?? '')
  if (legacy || dropping.some(isIptables)) {
    const rules = await mustRun(run, 'iptables', ['-w', '-S'])
    if (/^-P FORWARD DROP$/m.test(rules)) {
      const chain = /^-N DOCKER-USER$/m.test(rules) ? 'DOCKER-USER' : 'FORWARD'
      for (const rule of admittingRules(names)) {
        const present = await run('iptables', ['-w', '-C', chain, ...rule])
        if (present.exitCode !== 0) await mustRun(run, 'iptables', ['-w', '-I', chain, ...rule])
      }
    }
  }
  return dropping.filter((chain) => !isIptables(chain))
}

/** Takes the rules away again. */
export async function withdrawFromHostFirewall(names: HomeNames, run: RunTool): Promise<void> {
  const dropping = droppingChains(await mustRun(run, 'nft', ['-j', 'list', 'chains']), names)
  const legacy = /^filter$/m.test((await readIfThere('/proc/net/ip_tables_names')) ?? '')
  if (!legacy && !dropping.some(isIptables)) return
  for (const chain of ['DOCKER-USER', 'FORWARD']) {
    for (const rule of admittingRules(names)) {
      const present = await run('iptables', ['-w', '-C', chain, ...rule])
      if (present.exitCode === 0) await mustRun(run, 'iptables', ['-w', '-D', chain, ...rule])
    }
  }
}

function admittingRules(names: HomeNames): string[][] {
  const links = `${names.linkPrefix}+`
  const comment = ['-m', 'comment', '--comment', names.prefix]
  return [
    ['-i', links, ...comment, '-j', 'ACCEPT'],
    ['-o', links, '-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', ...comment, '-j', 'ACCEPT'],
  ]
}
