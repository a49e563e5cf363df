import type { MachineSpec } from './port.ts'

/** What a machine can ask of its host: the answers by path, and the address that it gets. */
export interface MachineAnswers {
  readonly ipv4: string
  readonly mac: string
  readonly paths: Readonly<Record<string, string>>
}

/** Hetzner's gateway, which is the same for all and on the link of none. */
export const gateway = '172.31.1.1'
export const metadataAddress = '169.254.169.254'
const base = '/hetzner/v1'

/** Locally administered, and the same at each start. */
export const macOf = (id: number): string =>
  ['96', '00', ...((id >>> 0).toString(16).padStart(8, '0').slice(-8).match(/../g) ?? [])].join(':')

/** The documents of Hetzner's metadata service. The YAML document is written as JSON, which is YAML too. */
export function answersFor(spec: MachineSpec & { readonly ipv4: string }): MachineAnswers {
  const mac = macOf(spec.id)
  const network = {
    version: 1,
    config: [{ type: 'physical', name: 'eth0', mac_address: mac, subnets: [{ type: 'dhcp', ipv4: true }] }],
  }
  const document = {
    'instance-id': spec.id,
    hostname: spec.name,
    'public-ipv4': spec.ipv4,
    region: spec.location,
    'availability-zone': spec.location,
    'public-keys': spec.sshKeys,
    'local-ipv4': '',
    'network-config': network,
    vendor_data: vendorData(spec.rootPassword),
  }
  return {
    ipv4: spec.ipv4,
    mac,
    paths: {
      [`${base}/metadata`]: JSON.stringify(document),
      [`${base}/userdata`]: spec.userData,
      [`${base}/metadata/instance-id`]: String(spec.id),
      [`${base}/metadata/hostname`]: spec.name,
      [`${base}/metadata/public-ipv4`]: spec.ipv4,
      [`${base}/metadata/private-networks`]: '[]',
      [`${base}/metadata/region`]: spec.location,
      [`${base}/metadata/availability-zone`]: spec.location,
    },
  }
}

/** Keys are root's, as at Hetzner; who gave none logs in with the password. */
function vendorData(rootPassword: string | null): string {
  const root = { user: { name: 'root' }, disable_root: false }
  const password = { ssh_pwauth: true, chpasswd: { expire: true, list: [`root:${rootPassword}`] } }
  return `#cloud-config\n${JSON.stringify(rootPassword === null ? root : { ...root, ...password })}\n`
}
