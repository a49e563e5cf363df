import type { Size } from '@gibil/contract'

/** How many processes and threads a box may have, and how many of them one user in it. */
export interface ProcessLimits {
  readonly box: number
  readonly user: number
}

const perCpu = 256
const least = 256
const most = 4096
/** For the threads of boxd, which are root's, and a few commands of root. */
const kept = 16

/**
 * By the box's CPUs, because what is beyond them is time that others wait. All boxes of an image map the same files, and every fork, exec and
 * exit takes the kernel's lock of each mapped file (`i_mmap_rwsem`): whoever wants it queues behind all that a fork bomb has there, each
 * of which has to be given a CPU first. So the wait in another box grows with the square of this number (ADR 12).
 *
 * A user's limit (RLIMIT_NPROC) is a little less. The kernel looks at that one before it copies a process, and at the cgroup's
 * after that, so a fork that fails costs nobody; and root of the box can still come in and end a bomb of another user.
 */
export function processLimits(size: Size, given?: number): ProcessLimits {
  const box = given ?? Math.min(most, Math.max(least, Math.round(size.cpu * perCpu)))
  return { box, user: box - Math.max(kept, Math.ceil(box / 20)) }
}
