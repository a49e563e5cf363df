import { type Size, sizePresets } from '@gibil/contract'
import type { Asked } from './asked.ts'
import type { Candidate } from './candidates.ts'
import { namedSize, type Room } from './checks.ts'

/** A host on which everything fits. */
export const endless: Room = {
  cpus: Number.POSITIVE_INFINITY,
  memoryMib: Number.POSITIVE_INFINITY,
  freeDiskMib: Number.POSITIVE_INFINITY,
}

/** A ready workstation, when nobody says how large. */
export const workstationSize: Size = { cpu: 4, memoryMib: 16_384, diskMib: 30_720 }

/**
 * What was named of a size, and of the rest the usual. A machine takes what it names, so that where the usual is more than this host has, half of what there is
 * takes its place.
 */
export function sizeFor(asked: Asked, { shape, provider, leastMemoryMib }: Candidate, room: Room): Size {
  const named = namedSize(asked)
  const usual = asked.workstation ? workstationSize : sizePresets.small
  const free = shape === 'container' || provider !== 'local'
  const within = (amount: number, there: number): number => (free || amount <= there ? amount : Math.floor(there / 2))
  return {
    cpu: named.cpu ?? (free ? usual.cpu : Math.min(usual.cpu, room.cpus)),
    memoryMib: named.memoryMib ?? Math.max(leastMemoryMib, within(usual.memoryMib, room.memoryMib)),
    diskMib: named.diskMib ?? within(usual.diskMib, room.freeDiskMib),
  }
}

type SizeWish = { size?: 'small' | 'medium' | 'large' } & Partial<Size>

/** The size as `create` is told it: the preset that was named, and what differs from it. */
export function sizeWish(asked: Asked, size: Size): SizeWish {
  const preset = sizePresets[asked.size ?? 'small']
  return {
    ...(asked.size === undefined ? {} : { size: asked.size }),
    ...(size.cpu === preset.cpu ? {} : { cpu: size.cpu }),
    ...(size.memoryMib === preset.memoryMib ? {} : { memoryMib: size.memoryMib }),
    ...(size.diskMib === preset.diskMib ? {} : { diskMib: size.diskMib }),
  }
}

/** What is named of a size beside a preset that has one of its own. */
export const sizeNamed = ({ size, cpu, memoryMib, diskMib }: Asked): SizeWish => ({
  ...(size === undefined ? {} : { size }),
  ...(cpu === undefined ? {} : { cpu }),
  ...(memoryMib === undefined ? {} : { memoryMib }),
  ...(diskMib === undefined ? {} : { diskMib }),
})
