import { statfs } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import type { ControlPlaneDeps } from '@gibil/core'

const mib = 1024 * 1024

/** What this machine has; free disk is that of the file system which holds the home. */
export const hostFacts = (home: string): ControlPlaneDeps['host'] => ({
  cpus: availableParallelism(),
  memoryMib: Math.floor(totalmem() / mib),
  freeDiskMib: async () => {
    const { bavail, bsize } = await statfs(home)
    return Math.floor((bavail * bsize) / mib)
  },
  freeMemoryMib: async () => Math.floor(process.availableMemory() / mib),
})
