import { GibilError } from '@gibil/contract'
import { parseJson, readIfThere, writeWhole } from '@gibil/host'
import type { HostKit, MemoryRegion } from '@gibil/hostkit-client'
import * as z from 'zod'
import type { MachinePaths } from './names.ts'
import { memoryFd } from './qemu-args.ts'

/** Gives a machine that does not run yet its memory, a private copy of the file that it was started with or new, and notes where it lies. */
export async function giveMemory(
  hostkit: Pick<HostKit, 'memoryReplace'>,
  pid: number,
  paths: MachinePaths,
  saved: boolean,
): Promise<void> {
  const region = await hostkit.memoryReplace({ pid, ...(saved ? { fd: memoryFd } : {}) })
  await writeWhole(paths.region, JSON.stringify(region), { durable: false })
}

const region = z.object({ address: z.int().positive(), bytes: z.int().positive() })

/** Where the memory of a machine was given its memory lies. Throws `driver_failed` for one that an earlier version started. */
export async function readRegion(paths: MachinePaths): Promise<MemoryRegion> {
  const known = region.safeParse(parseJson((await readIfThere(paths.region)) ?? ''))
  if (known.success) return known.data
  throw new GibilError('driver_failed', 'The memory of this machine cannot be found, so it cannot be saved.', {
    hint: 'Stop the box and start it again: its disk is kept, its processes are not.',
  })
}
