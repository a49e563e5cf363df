import { createHash } from 'node:crypto'
import { join, resolve } from 'node:path'
import { GibilError, type NetworkPolicy } from '@gibil/contract'

/** What everything that one home makes on the host is called. Two homes share no name. */
export interface HomeNames {
  readonly home: string
  /** `gibil-` and six hex digits of the home's path: cgroup parent, nft table, start of each network namespace. */
  readonly prefix: string
  /** Start of the name of every link. A link's name has at most 15 characters (IFNAMSIZ in linux/if.h). */
  readonly linkPrefix: string
  /** Where all that ends with the host's uptime lives: mounts, sockets, the runtime's state. */
  readonly runDir: string
  /** Where boxes are kept, one directory each. */
  readonly boxesDir: string
  /** Where volumes are kept, one directory each. */
  readonly volumesDir: string
  readonly cacheDir: string
  /** The runtime's own state (`runc --root`). */
  readonly runtimeRoot: string
}

export function homeNames(home: string, runRoot = '/run'): HomeNames {
  const path = resolve(home)
  const hash = createHash('sha256').update(path).digest('hex').slice(0, 6)
  const prefix = `gibil-${hash}`
  const runDir = join(runRoot, prefix)
  return {
    home: path,
    prefix,
    linkPrefix: `g${hash}`,
    runDir,
    boxesDir: join(path, 'boxes'),
    volumesDir: join(path, 'volumes'),
    cacheDir: join(path, 'cache'),
    runtimeRoot: join(runDir, 'runtime'),
  }
}

/** Ids become parts of paths and of names on the host. Throws `invalid_request` for one that cannot. */
export function assertBoxId(id: string): void {
  if (isBoxId(id)) return
  throw new GibilError('invalid_request', `"${id}" cannot be the id of a box: 1 to 48 of A-Z, a-z, 0-9, "-" and "_".`)
}

/** The disk of a volume of this home. */
export function volumeDisk(names: HomeNames, id: string): string {
  assertBoxId(id)
  return join(names.volumesDir, id, 'disk.img')
}

export function isBoxId(id: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$/.test(id)
}

const policyLetters = { internet: 'i', lan: 'l' } as const satisfies Partial<Record<NetworkPolicy, string>>
export type RoutedPolicy = keyof typeof policyLetters

/** A box's link says in its name what the box may reach, so that the firewall needs no rule per box. */
export function linkName(names: HomeNames, policy: RoutedPolicy, slot: number): string {
  return `${linkPrefixOf(names, policy)}${slot.toString(16).padStart(3, '0')}`
}

export function linkPrefixOf(names: HomeNames, policy: RoutedPolicy): string {
  return `${names.linkPrefix}${policyLetters[policy]}`
}

/** The slot that a link of this home belongs to, or undefined for another's link. */
export function slotOfLink(names: HomeNames, link: string): number | undefined {
  if (!link.startsWith(names.linkPrefix)) return undefined
  const match = /^[il]([0-9a-f]{3})$/.exec(link.slice(names.linkPrefix.length))
  return match?.[1] === undefined ? undefined : Number.parseInt(match[1], 16)
}
