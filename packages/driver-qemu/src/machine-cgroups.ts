import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Size } from '@gibil/contract'
import { type CgroupLayout, errnoOf } from '@gibil/host'
import { codeCacheMib } from './qemu-args.ts'

/** Makes the cgroups of machines with their limits; `Cgroups` of the containers' driver does the rest. */
export interface MachineCgroups {
  /** Returns the directories that the machine's process has to join. */
  make(id: string, size: Size): Promise<string[]>
  /** The same of a machine that has them. */
  of(id: string): string[]
}

/** What QEMU itself needs beside the guest's memory, in MiB. */
const ownMib = 256
/** One for each vCPU, and those of I/O. */
const threads = 512
const periodUs = 100_000
const controllers = ['cpu', 'cpuacct', 'freezer', 'memory', 'pids'] as const

export function createMachineCgroups(layout: CgroupLayout, prefix: string): MachineCgroups {
  const limits = (size: Size): Record<string, string> => {
    const quota = Math.round(size.cpu * periodUs)
    const bytes = String((size.memoryMib + ownMib + codeCacheMib) * 1024 ** 2)
    return layout.version === 2
      ? { 'cpu.max': `${quota} ${periodUs}`, 'memory.max': bytes, 'memory.swap.max': '0', 'pids.max': String(threads) }
      : { 'cpu.cfs_quota_us': String(quota), 'memory.limit_in_bytes': bytes, 'pids.max': String(threads) }
  }
  /** The file belongs to the controller that its name begins with. */
  const directoryFor = (file: string, id: string): string => {
    const mount = layout.byController.get(file.split('.')[0] ?? '') ?? layout.mounts[0] ?? '/sys/fs/cgroup'
    return join(mount, prefix, id)
  }
  const of = (id: string): string[] => [...new Set(controllers.map((name) => directoryFor(name, id)))]
  return {
    of,
    async make(id, size) {
      const directories = of(id)
      for (const directory of directories) {
        await mkdir(directory, { recursive: true })
        if (layout.version === 2) await enable(dirname(directory))
      }
      for (const [file, value] of Object.entries(limits(size))) {
        await writeFile(join(directoryFor(file, id), file), value).catch((error: unknown) => {
          // A kernel without accounting of swap has no such file.
          if (file !== 'memory.swap.max' || errnoOf(error) !== 'ENOENT') throw error
        })
      }
      return directories
    },
  }
}

/** Version 2 gives a cgroup only those controllers that each one above it passes on. */
async function enable(parent: string): Promise<void> {
  for (const directory of [dirname(parent), parent]) {
    await writeFile(join(directory, 'cgroup.subtree_control'), '+cpu +memory +pids')
  }
}
