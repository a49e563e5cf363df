import type { Image } from '../model.ts'

/** Only the id of Ubuntu 24.04 for x86 was recorded from the API; clients may rely on none of them. */
const known: readonly [
  id: number,
  type: 'system' | 'app',
  name: string,
  description: string,
  x86OrArm: 'x86' | 'arm',
][] = [
  [161547269, 'system', 'ubuntu-24.04', 'Ubuntu 24.04', 'x86'],
  [161547270, 'system', 'ubuntu-24.04', 'Ubuntu 24.04', 'arm'],
  [67794396, 'system', 'ubuntu-22.04', 'Ubuntu 22.04', 'x86'],
  [103908130, 'system', 'ubuntu-22.04', 'Ubuntu 22.04', 'arm'],
  [114690387, 'system', 'debian-12', 'Debian 12', 'x86'],
  [114690389, 'system', 'debian-12', 'Debian 12', 'arm'],
  [310557660, 'system', 'debian-13', 'Debian 13', 'x86'],
  [310557661, 'system', 'debian-13', 'Debian 13', 'arm'],
  [40093247, 'app', 'docker-ce', 'Docker CE', 'x86'],
  [105888141, 'app', 'docker-ce', 'Docker CE', 'arm'],
]

export const systemImages: readonly Image[] = known.map(([id, type, name, description, architecture]) => ({
  id,
  type,
  status: 'available',
  name,
  description,
  image_size: null,
  disk_size: 5,
  created: '2025-01-01T00:00:00Z',
  created_from: null,
  bound_to: null,
  os_flavor: name.startsWith('debian') ? 'debian' : 'ubuntu',
  os_version: /\d[\d.]*$/.exec(name)?.[0] ?? null,
  rapid_deploy: type === 'system',
  protection: { delete: false },
  deprecated: null,
  deleted: null,
  labels: {},
  architecture,
}))
