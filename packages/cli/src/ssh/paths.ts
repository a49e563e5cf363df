import { join } from 'node:path'

/** What is kept in a home for OpenSSH. */
export interface SshPaths {
  readonly dir: string
  readonly key: string
  readonly config: string
  /** A file for each name by which a box was called. */
  readonly knownHosts: string
}

export function sshPaths(home: string): SshPaths {
  const dir = join(home, 'ssh')
  return { dir, key: join(dir, 'id_ed25519'), config: join(dir, 'config'), knownHosts: join(dir, 'known_hosts') }
}

/** Behind it any box is a host, whatever other hosts are called: `ssh work.gibil`. */
export const hostSuffix = '.gibil'

/** A box is called by its name or id, with or without the suffix. */
export const boxOfHost = (host: string): string =>
  host.endsWith(hostSuffix) ? host.slice(0, -hostSuffix.length) : host
