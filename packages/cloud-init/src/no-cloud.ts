import { stringify } from 'yaml'

export interface SeedOptions {
  /** A machine with another id than last time is told all anew. */
  readonly instanceId: string
  readonly hostname: string
  /** From `renderUserData`, not compressed. */
  readonly userData: string
  /** Version 2 of cloud-init's network configuration. Absent: cloud-init asks by DHCP. */
  readonly networkConfig?: Readonly<Record<string, unknown>> | undefined
}

/** Files by name, for a disk with the label `cidata` (cloud-init's datasource NoCloud). */
export type Seed = Readonly<Record<string, string>>

export function renderNoCloudSeed({ instanceId, hostname, userData, networkConfig }: SeedOptions): Seed {
  return {
    'meta-data': stringify({ 'instance-id': instanceId, 'local-hostname': hostname }, { version: '1.1' }),
    'user-data': userData,
    ...(networkConfig ? { 'network-config': stringify(networkConfig, { version: '1.1' }) } : {}),
  }
}
