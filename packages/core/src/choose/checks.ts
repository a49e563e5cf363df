import { formatBytes, sizePresets } from '@gibil/contract'
import { allowsTtl, lifeOf } from '../lease/terms.ts'
import type { Asked } from './asked.ts'
import type { Candidate } from './candidates.ts'

/** What boxes of this machine can have of it. */
export interface Room {
  readonly cpus: number
  readonly memoryMib: number
  readonly freeDiskMib: number
}

/** Why a candidate does not do, in words that follow its name; undefined when it does. */
export type Check = (candidate: Candidate, asked: Asked, room: Room) => string | undefined

export const lease: Check = ({ shape }, { ttl }) => {
  if (ttl === undefined || allowsTtl(ttl, shape)) return undefined
  return `${lifeOf(shape)}${shape === 'vm' ? ', and can be extended' : ''}`
}

const mib = 1024 * 1024
const bytes = (amount: number): string => formatBytes(amount * mib)

/** What was named of a size, without what a preset would be put over. */
export function namedSize({ size, cpu, memoryMib, diskMib }: Asked): {
  readonly cpu?: number | undefined
  readonly memoryMib?: number | undefined
  readonly diskMib?: number | undefined
} {
  const preset = size && sizePresets[size]
  return {
    cpu: cpu ?? preset?.cpu,
    memoryMib: memoryMib ?? preset?.memoryMib,
    diskMib: diskMib ?? preset?.diskMib,
  }
}

export const room: Check = ({ provider, leastMemoryMib }, asked, host) => {
  // A cloud says what it sells when it is asked for a price.
  if (provider !== 'local') return undefined
  const { cpu = 0, memoryMib, diskMib = 0 } = namedSize(asked)
  if (cpu > host.cpus) return `has no more than the ${host.cpus} vCPU of this machine`
  if (diskMib > host.freeDiskMib) return `has no more than the ${bytes(host.freeDiskMib)} of disk that are free here`
  if (memoryMib === undefined) return undefined
  if (memoryMib > host.memoryMib) return `has no more than the ${bytes(host.memoryMib)} of memory of this machine`
  return memoryMib < leastMemoryMib ? `needs ${leastMemoryMib} MiB of memory at least` : undefined
}
