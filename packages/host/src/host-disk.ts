import { statfs } from 'node:fs/promises'
import { formatBytes, GibilError } from '@gibil/contract'

const leastBytes = 1024 ** 3
const leastShare = 0.02

/** What a host's file system keeps free: boxes' disks are sparse, so they could together fill it. */
export function roomNeeded(totalBytes: number): number {
  return Math.max(leastBytes, totalBytes * leastShare)
}

/** Throws `disk_full` when the file system that holds the boxes has hardly any room left. */
export async function assertHostRoom(directory: string): Promise<void> {
  const { bavail, blocks, bsize } = await statfs(directory)
  const free = bavail * bsize
  const needed = roomNeeded(blocks * bsize)
  if (free >= needed) return
  throw new GibilError(
    'disk_full',
    `The host has ${formatBytes(free)} left where boxes are kept (${directory}); new boxes need ${formatBytes(needed)} free.`,
    { hint: 'Free space on the host, or destroy boxes that are not needed.', details: { directory, free, needed } },
  )
}
